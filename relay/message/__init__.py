"""The message as bytes: header block, trace, repairs, sender policy, delivery status reports.

Everything here is a pure function. Fields are prepended or edited in place, and no other byte
of the message changes.
"""
