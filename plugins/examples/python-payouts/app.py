"""Payouts go to accounts that can exist, and to nobody who is blocked: a rule in Python, against the contract as it is.

There is no SDK for Python. What one would do is `answer` below: exceptions become a refusal with their stack.
"""

import json
import traceback
from decimal import Decimal, InvalidOperation

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import host, records
from wit_world.imports.types import Event, Failure, Outcome, Rejection, Violation

MANIFEST = {
    "name": "payouts",
    "version": "1.0.0",
    "rules": [{"name": "check-payout", "hook": "before-write", "collections": ["payouts"], "operations": ["create", "update"]}],
    "grants": {"read": ["customers"]},
    "settings": [{"name": "most", "default": "10000", "description": "of one payout"}],
}


class Refused(Exception):
    """What is wrong with the values of the record."""

    def __init__(self, *violations: Violation):
        self.violations = list(violations)


class Rules(exports.Rules):
    def manifest(self) -> str:
        return json.dumps(MANIFEST)

    def run(self, event: Event) -> Outcome:
        return answer(check_payout, event)


def check_payout(after: dict) -> dict:
    """The members that change."""
    account = str(after.get("account") or "").replace(" ", "").upper()
    wrong = []
    if not is_account(account):
        wrong.append(violation("/account", "account.checksum", "no account has this number"))
    if (too_much := over(after.get("amount"))) is not None:
        wrong.append(violation("/amount", "amount.limit", f"at most {too_much} are paid at once", most=too_much))
    if wrong:
        raise Refused(*wrong)
    customer = records.get("customers", str(after.get("customer") or ""))
    if customer is not None and json.loads(customer).get("blocked"):
        host.log(host.Level.WARN, "a payout to a blocked customer", json.dumps({"customer": after["customer"]}))
        raise Err(Rejection("forbidden", "this customer gets no payouts", [], "{}"))
    return {"account": account}


def is_account(text: str) -> bool:
    """ISO 13616: the first four letters go to the end, letters count from 10, and the number leaves 1 when divided by 97."""
    if not (15 <= len(text) <= 34 and text.isascii() and text.isalnum() and text[:2].isalpha() and text[2:4].isdigit()):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def over(amount: object) -> str | None:
    """The limit, if the amount is above it. What is no number is for the validation that comes after the rules."""
    most = host.setting("most")
    try:
        return most if most is not None and Decimal(str(amount)) > Decimal(most) else None
    except InvalidOperation:
        return None


def violation(path: str, code: str, message: str, **params: object) -> Violation:
    return Violation(path, code, message, json.dumps(params))


def answer(rule, event: Event) -> Outcome:
    try:
        return Outcome(json.dumps(rule(json.loads(event.after or "{}"))), "{}")
    except Refused as refused:
        raise Err(Rejection("invalid", refused.violations[0].message, refused.violations, "{}"))
    except Err as error:
        raise Err(error.value if isinstance(error.value, Rejection) else internal(message_of(error.value)))
    except Exception as error:
        raise Err(internal(f"{type(error).__name__}: {error}"))


def message_of(failure: object) -> str:
    return f"{failure.code}: {failure.message}" if isinstance(failure, Failure) else str(failure)


def internal(message: str) -> Rejection:
    return Rejection("internal", message, [], json.dumps({"stack": traceback.format_exc()}))
