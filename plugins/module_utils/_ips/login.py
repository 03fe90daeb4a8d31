# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CLC v2 login: one bearer token per user, shared by all processes of this machine while it is valid."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Optional, Union

from .._core.errors import AuthFailed, BadResponse, IntrusionResponseError, InvalidInput, ServerFault
from .._core.http import Endpoint, Transport
from .._core.options import path_name
from .._core.redact import Redactor
from .._core.state import StateDir

LOGIN = "/v2/authentication/login"
#: Tokens are valid for two weeks (APIDocs, authentication overview); CLC's Java SDK requests a new one after ten days.
TOKEN_LIFE = 10 * 86400
#: A refused token younger than this was not refused because of its age.
YOUNG = 60

#: Seconds for which a refused password is not tried again.
REMEMBERED = 60
NOT_ACCEPTED = "The CLC login did not accept the user name or the password."
NO_ALIAS = "token requires account_alias (environment: CLC_ACCT_ALIAS)."
NO_CREDENTIALS = (
    "Credentials are missing: set token and account_alias, or username and password "
    "(environment: CLC_V2_API_TOKEN and CLC_ACCT_ALIAS, or CLC_V2_API_USERNAME and CLC_V2_API_PASSWD)."
)


class GivenToken:
    """A token given by the user; if it is refused, there is no other."""

    def __init__(self, token: str) -> None:
        self._token = token

    @property
    def home_alias(self) -> str:
        """The alias of the user's own account, which is unknown for a token; raises InvalidInput."""
        raise InvalidInput(NO_ALIAS)

    def token(self) -> str:
        """Return the token."""
        return self._token

    def renew(self, _refused: str, _status: int) -> bool:
        """Return False, since there is no other token to try."""
        return False


class PasswordLogin:
    """A token obtained with user name and password, or from the state directory while valid; threads may share it."""

    def __init__(self, endpoint: Endpoint, username: str, password: str, state: StateDir, redactor: Redactor) -> None:
        self._endpoint = endpoint
        self._username = username
        self._password = password
        self._state = state
        self._redact = redactor
        self._key = (endpoint.url, username)
        self._lock = threading.RLock()
        self._session: Optional[dict[str, Any]] = None
        self._failure: Optional[IntrusionResponseError] = None
        self._renewed = False

    @property
    def home_alias(self) -> str:
        """The alias of the user's own account."""
        return str(self._current()["account_alias"])

    def token(self) -> str:
        """Return a token, logging in if there is none yet."""
        return str(self._current()["token"])

    def renew(self, refused: str, status: int) -> bool:
        """Get a new token after this one was refused with status; return whether there is a new one to try.

        The service may refuse an expired token with 403 as well as 401. A young token refused with 403 lacks permission.
        """
        with self._lock:
            session = self._current()
            if session["token"] != refused:
                return True  # another thread was faster
            if self._renewed or (status == 403 and abs(time.time() - session["obtained"]) < YOUNG):
                return False
            self._renewed = True
            self._session = self._shared(refused=refused)
            return True

    def _current(self) -> dict[str, Any]:
        with self._lock:
            if self._session is None:
                if self._failure is not None:  # every server of a fleet would run into it, each after the same time
                    raise copy.copy(self._failure)
                try:
                    self._session = self._shared()
                except IntrusionResponseError as error:
                    self._failure = error
                    raise
            return self._session

    def _shared(self, refused: Optional[str] = None) -> dict[str, Any]:
        """Return the shared session; the lock makes one process log in while the others wait for its token."""
        if refused is None:
            kept = self._kept(refused)
            if kept is not None:
                return kept
        with self._state.lock("tokens", self._key):
            kept = self._kept(refused)
            if kept is None:
                self._refuse_again()
                kept = self._login()
                self._state.write("tokens", self._key, kept)
            return kept

    def _kept(self, refused: Optional[str]) -> Optional[dict[str, Any]]:
        kept = self._state.read("tokens", self._key)
        if kept is None or not isinstance(kept.get("obtained"), (int, float)):
            return None
        usable = isinstance(kept.get("token"), str) and kept["token"] and isinstance(kept.get("account_alias"), str)
        if not usable or kept["token"] == refused or not 0 <= time.time() - kept["obtained"] < TOKEN_LIFE:
            return None
        self._redact.add(kept["token"])
        return kept

    def _refuse_again(self) -> None:
        """Raise without a request if this very password was refused a moment ago, so that a fleet does not lock the user out."""
        refusal = self._state.read("refusals", self._key)
        if refusal is None or not 0 <= time.time() - float(refusal.get("at", 0)) < REMEMBERED:
            return
        if hmac.compare_digest(self._digest(str(refusal.get("salt"))), str(refusal.get("digest"))):
            raise AuthFailed(NOT_ACCEPTED, hint=f"They were refused within the last {REMEMBERED} s and not tried again.")

    def _remember_refusal(self) -> None:
        salt = os.urandom(16).hex()
        self._state.write("refusals", self._key, {"at": time.time(), "salt": salt, "digest": self._digest(salt)})

    def _digest(self, salt: str) -> str:
        """Return a slow digest, computed only after a refusal: the record must not help to guess the password."""
        return hashlib.pbkdf2_hmac("sha256", self._password.encode(), salt.encode(), 200_000).hex()

    def _login(self) -> dict[str, Any]:
        body = json.dumps({"username": self._username, "password": self._password}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        with Transport(self._endpoint, redactor=self._redact) as transport:
            reply = transport.send("POST", LOGIN, body=body, headers=headers, write=False, repeatable=True)
        if reply.status in (400, 401, 403):
            self._remember_refusal()
            raise AuthFailed(
                NOT_ACCEPTED,
                http_status=reply.status,
                hint="The login was tried only once, since repeated failures may lock the user out.",
            )
        if reply.status >= 500:
            raise ServerFault(f"POST {LOGIN} was answered with {reply.status}.", http_status=reply.status)
        try:
            answer = reply.json()
            token, alias = answer["bearerToken"], answer["accountAlias"]
            usable = reply.status < 300 and all(isinstance(value, str) and value for value in (token, alias))
        except (ValueError, KeyError, TypeError):
            usable = False
        if not usable:
            raise BadResponse(f"POST {LOGIN}: the answer does not come from the CLC login.", http_status=reply.status)
        self._redact.add(token)
        return {"token": token, "account_alias": alias, "obtained": time.time()}


def clc_endpoint(params: Mapping[str, Any]) -> Endpoint:
    """Return the root of the CLC v2 API; CLC's own modules wrote it with or without /v2, depending on their generation."""
    root = params["clc_url"].strip().rstrip("/")
    return Endpoint.from_options("clc_url", {**params, "clc_url": root[: -len("/v2")] if root.endswith("/v2") else root})


def login_from_params(
    params: Mapping[str, Any], endpoint: Endpoint, state: StateDir, redactor: Redactor
) -> Union[GivenToken, PasswordLogin]:
    """Create the login that the connection options describe; raises InvalidInput if credentials are missing."""
    if params["token"]:
        return GivenToken(params["token"])
    if not (params["username"] and params["password"]):
        raise InvalidInput(NO_CREDENTIALS)
    return PasswordLogin(endpoint, params["username"], params["password"], state, redactor)


def check_account(params: Mapping[str, Any], name: str = "account_alias") -> None:
    """Raise InvalidInput for an invalid account, or a missing one that is required; messages call it by name."""
    if params["account_alias"]:
        path_name(name, params["account_alias"])
    elif params["token"]:
        raise InvalidInput(NO_ALIAS)
