"""The Sender Policy Framework: who may send for a domain, and what its record lacks.

`await diagnose.spf.check_host(ip, domain, sender=..., helo=..., resolver=...)` is the function of
RFC 7208 section 4.
"""

from diagnose.spf.evaluate import check_host
from diagnose.spf.outcome import Evaluation, Result

__all__ = ["Evaluation", "Result", "check_host"]
