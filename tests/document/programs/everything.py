"""Uses the client that `python.test.mjs` generates into the package `generated`."""

import os
import pkgutil
from importlib import import_module

import generated.api
from generated import AuthenticatedClient, Client
from generated.api.auth import auth_login
from generated.api.python_everything import (
    python_everything_create,
    python_everything_delete,
    python_everything_get,
    python_everything_list,
    python_everything_update,
)
from generated.models import Login, Problem, PythonEverythingCreate, PythonEverythingRecord, PythonEverythingUpdate

URL = os.environ["IRONRULE_URL"]


def import_everything() -> int:
    """Every operation of the document is a module that can be imported."""
    modules = [module.name for module in pkgutil.walk_packages(generated.api.__path__, "generated.api.")]
    for module in modules:
        import_module(module)
    return len(modules)


def sign_in() -> AuthenticatedClient:
    login = Login(identity=os.environ["IRONRULE_ADMIN_EMAIL"], password=os.environ["IRONRULE_ADMIN_PASSWORD"])
    session = auth_login.sync(client=Client(base_url=URL), body=login)
    assert not isinstance(session, Problem) and session is not None, session
    return AuthenticatedClient(base_url=URL, token=session.access_token)


def main() -> None:
    assert import_everything() > 50
    client = sign_in()
    draft = PythonEverythingCreate(title="One", price="4.50", count=3)
    made = python_everything_create.sync(client=client, body=draft)
    assert isinstance(made, PythonEverythingRecord), made
    assert (made.title, made.price, made.count, made.done) == ("One", "4.50", 3, False), made

    found = python_everything_list.sync(client=client, filter_='title == "One"', sort="-created")
    assert isinstance(found, list) and [record.id for record in found] == [made.id], found
    changed = python_everything_update.sync(made.id, client=client, body=PythonEverythingUpdate(count=None))
    assert isinstance(changed, PythonEverythingRecord) and changed.count is None, changed
    gone = python_everything_delete.sync(made.id, client=client)
    assert isinstance(gone, PythonEverythingRecord), gone
    missing = python_everything_get.sync(made.id, client=client)
    assert isinstance(missing, Problem) and missing.code == "record.not_found", missing


main()
