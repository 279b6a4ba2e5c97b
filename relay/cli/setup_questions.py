"""Collecting the answers of `relay setup`: from options, an earlier draft, and a person."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from presets.catalog import catalog
from relay.access.address import is_private, peer_address
from relay.cli.output import cell
from relay.cli.session import stop, talk
from relay.cli.setup_talk import (
    BadSecret,
    WentBack,
    ask,
    ask_line,
    ask_secret,
    is_key_file,
    one_line,
    question_text,
    secret_of_file,
    secret_of_stdin,
    told,
)
from relay.cli.setup_wishes import Wishes
from relay.cli.texts import text
from relay.config.fault import BadValueError, Language
from relay.setup.answers import read_answer
from relay.setup.examiner import Examiner, NotExamined
from relay.setup.questions import (
    ALONE,
    QUESTIONS,
    Found,
    Question,
    Situation,
    next_question,
    own_domain,
)
from relay.setup.workplace import Workplace

STDIN = Path("-")


class Collector:
    """The answers as they come. `secrets` holds passwords, in memory alone."""

    def __init__(self, wishes: Wishes, workplace: Workplace, language: Language) -> None:
        self.wishes = wishes
        self.secrets: dict[str, str] = {}
        self.proposed: list[str] = []
        """Questions that nobody answered: their proposal was taken."""
        self.situation = Situation({}, language=language)
        self._workplace = workplace
        self._before: dict[str, str] = {}  # answers of before a change, to propose again
        self._looked_for = ""

    @property
    def language(self) -> Language:
        """Of the conversation, and of the relay to come."""
        return self.situation.language

    def take_up(self) -> None:
        """Take the answers of an earlier setup, as far as they still hold."""
        draft = self._workplace.read_draft()
        if not draft:
            return
        self._before |= draft
        passed: set[str] = set()  # secrets, which no draft holds, are asked for behind this
        while question := self._next(passed):
            name = question.name
            if question.secret:
                passed.add(name)
            elif name in self.wishes.given:
                self._answer(question)
            elif name not in draft:
                break
            else:
                try:
                    self._answered(question, read_answer(question, draft[name], self.situation))
                except BadValueError:
                    break
        talk(text("setup.resumed", self.language), *self.summary_lines())

    def complete(self) -> None:
        """Ask until nothing is open. Exit 2 for a bad option, and unattended for a missing one."""
        while question := self._next():
            if question.name == "provider" and self._looks_for(self.situation.answers["address"]):
                self._discover(self.situation.answers["address"])
                continue  # what was found is proposed
            try:
                self._answer(question)
            except WentBack:
                self._go_back()

    def review(self) -> bool:
        """Show the answers; False once the person wants one changed, which is then open again."""
        talk("", text("setup.summary", self.language), *self.summary_lines())
        talk("", text("setup.confirm", self.language))
        return not self.change(ask_line("> ").strip())

    def change(self, name: str) -> bool:
        """Open an answer, and those that may depend on it, for another; False for an empty name."""
        names = [*self.situation.answers, *self.secrets]
        while name and name not in names:
            shown = ", ".join(names)
            talk("! " + cell(text("setup.not-a-name", self.language, name=name, names=shown)))
            name = ask_line("> ").strip()
        if name:
            self._open_from(name)
        return bool(name)

    def summary_lines(self) -> list[str]:
        """The answers, one a line, secrets hidden."""
        answers = self.situation.answers
        shown = [name for name in QUESTIONS if name in answers or name in self.secrets]
        hidden = text("setup.hidden", self.language)
        width = max(map(len, shown), default=0) + 1
        return [f"  {name + ':':<{width}} {cell(answers.get(name, hidden))}" for name in shown]

    # --- one answer ---

    def _next(self, passed: Collection[str] = frozenset()) -> Question | None:
        """The next question; secrets that are `passed` count as given."""
        secrets = self.situation.secrets | frozenset(passed)
        return next_question(replace(self.situation, secrets=secrets), self.wishes.names)

    def _answer(self, question: Question) -> None:
        name = question.name
        if name in self.secrets:
            return
        if name in self.wishes.secrets:
            self._secret(question, self._secret_of_option(question))
        elif name in self.wishes.given:
            self._answered(question, self._read_option(question, self.wishes.given[name]))
        elif self.wishes.unattended:
            if question.proposal is None:
                asked = question_text(question, self.language)
                stop(text("setup.missing", self.language, option=question.option, question=asked))
            self.proposed.append(name)
            self._answered(question, read_answer(question, question.proposal, self.situation))
        elif question.secret:
            self._secret(question, ask_secret(question, self.situation, self._known(question)))
        else:
            self._answered(
                question, ask(self._again(question), self.situation, self._known(question))
            )
            self._tell_provider(question)
            self._workplace.keep_draft(self.situation.answers)

    def _again(self, question: Question) -> Question:
        """The question, proposing what was answered to it before a change."""
        before = self._before.get(question.name)
        if before is None or (question.choices and before not in question.choices):
            return question
        return replace(question, proposal=before)

    def _answered(self, question: Question, answer: str) -> None:
        language: Language = self.language
        if question.name == "language":
            language = "nl" if answer == "nl" else "en"
        answers = {**self.situation.answers, question.name: answer}
        self.situation = replace(self.situation, answers=answers, language=language)

    def _secret(self, question: Question, secret: str) -> None:
        self.secrets[question.name] = secret
        self.situation = replace(self.situation, secrets=frozenset(self.secrets))

    def _read_option(self, question: Question, given: str) -> str:
        try:
            return read_answer(question, given, self.situation)
        except BadValueError as error:
            reason = told(error, self.language)
            option = question.option
            stop(cell(text("setup.bad-option", self.language, option=option, reason=reason)))

    def _secret_of_option(self, question: Question) -> str:
        file = self.wishes.secrets[question.name]
        try:
            if file == STDIN:
                return secret_of_stdin(self.language)
            secret = secret_of_file(file, self.language)
            return secret if is_key_file(self.situation) else one_line(secret, self.language)
        except BadSecret as error:
            option = question.option
            stop(cell(text("setup.bad-option", self.language, option=option, reason=error)))

    def _go_back(self) -> None:
        """Open the last answer that no option gave."""
        answered = [
            name
            for name in QUESTIONS
            if (name in self.situation.answers or name in self.secrets)
            and name not in self.wishes.names
        ]
        if answered:
            self._open_from(answered[-1])

    def _open_from(self, name: str) -> None:
        order = [*QUESTIONS]
        later = {name} if name in ALONE else set(order[order.index(name) :])
        self._before |= self.situation.answers
        kept = {
            each: answer for each, answer in self.situation.answers.items() if each not in later
        }
        # A secret belongs to whom it was given for.
        self.secrets = {each: it for each, it in self.secrets.items() if each not in later}
        found = self.situation.found if "address" in kept else ()
        self.situation = replace(
            self.situation, answers=kept, secrets=frozenset(self.secrets), found=found
        )

    # --- what is told with a question ---

    def _looks_for(self, address: str) -> bool:
        """Whether an address's provider is still to be found out; once for an address."""
        return self._looked_for != address and "provider" not in self.wishes.given

    def _discover(self, address: str) -> None:
        self._looked_for = address
        found: tuple[Found, ...] = ()
        try:
            examiner = Examiner(self.language, self.wishes.nameserver)
            found, document = asyncio.run(examiner.discover(address))
            reason = "; ".join(each["title"] for each in document["findings"])
        except NotExamined as error:
            reason = str(error)
        self.situation = replace(self.situation, found=found)
        domain = address.rpartition("@")[2]
        if found:
            talk("", self._found_line(found[0], domain))
        else:
            line = text("setup.found.nothing", self.language, domain=domain, reason=reason)
            talk("", cell(line))

    def _found_line(self, found: Found, domain: str) -> str:
        name = catalog().get(found.preset).name if found.preset else found.host
        values = {"domain": domain, "name": name, "evidence": found.evidence}
        values |= {"host": found.host, "port": str(found.port)}
        return cell(text(f"setup.found.{found.way}", self.language, **values))

    def _tell_provider(self, question: Question) -> None:
        """What is known of the provider that was chosen."""
        preset = self.situation.preset
        if question.name != "provider" or preset is None:
            return
        language = self.language
        talk(text("setup.provider", language, name=preset.name, advice=preset.advice(language)))
        if preset.password_ends is not None:
            talk(text("setup.provider.ends", language, day=preset.password_ends.isoformat()))

    def _known(self, question: Question) -> dict[str, str]:
        """What fills the blanks of a question's text."""
        at, language = self.situation, self.language
        end, preset = at.endpoint, at.preset
        match question.name:
            case "host" if end is not None:
                return {"known": text("setup.known.host", language, host=end.host)}
            case "username" if end is not None and "full e-mail address" not in end.username:
                return {"known": text("setup.known.username", language, username=end.username)}
            case "sender" if preset is not None and preset.sender_rule.send_as is not None:
                rule = preset.sender_rule.send_as.get(language)
                return {"known": text("setup.known.rule", language, rule=rule)}
            case "listen" if (address := office_address()) is not None:
                return {"known": text("setup.known.here", language, address=address)}
            case "ordernow":
                return {"domain": own_domain(at) or ""}
        return {}


def office_address() -> str | None:
    """This machine's address in the office's network; None without one. Nothing is sent for it."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's; the system only picks the route
            address: str = probe.getsockname()[0]
        except OSError:
            return None
    own = peer_address(address)
    return address if is_private(own) and not own.is_loopback else None
