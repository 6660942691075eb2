"""A Redfish service that acts: acting_redfish.py CONFIG

sushy-tools' emulator with real machines behind its systems. CONFIG is JSON: address, port, users (name to password), systems (uuid,
name, serial), socket (of the chassis), dir (for its files), and cert and key for TLS. Beside what the emulator has: power acts at once, `Once`
counts, PowerCycle, ETags that guard a PATCH, a SessionService, and accounts whose passwords can be changed.
"""

import hashlib
import json
import os
import secrets
import ssl
import sys

import bcrypt
import flask
from sushy_tools import error
from sushy_tools.emulator import auth_basic, main
from sushy_tools.emulator.resources.systems import fakedriver
from werkzeug.serving import WSGIRequestHandler, make_server

from chassis import Chassis

SYSTEMS = "/redfish/v1/Systems/"
SESSION_SERVICE = "/redfish/v1/SessionService"
SESSIONS = SESSION_SERVICE + "/Sessions"
ACCOUNT_SERVICE = "/redfish/v1/AccountService"
ACCOUNTS = ACCOUNT_SERVICE + "/Accounts"
ORDERS = {
    "On": ("power", "1"),
    "ForceOn": ("power", "1"),
    "ForceOff": ("power", "0"),
    "GracefulShutdown": ("shutdown", "1"),
    "GracefulRestart": ("reset", "1"),
    "ForceRestart": ("reset", "1"),
    "PowerCycle": ("reset", "1"),
}
DEVICES = {"None": "none", "Pxe": "pxe", "UefiHttp": "pxe", "Hdd": "default", "Cd": "cdrom", "BiosSetup": "bios"}
MODES = {"UEFI": "uefi", "Legacy": "bios"}


class Boot:
    """What a system was told to boot."""

    def __init__(self):
        self.fields = {
            "BootSourceOverrideTarget": "None",
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideMode": "UEFI",
        }

    def take(self):
        """Gives target and mode for a boot that begins now."""
        target, mode = self.fields["BootSourceOverrideTarget"], self.fields["BootSourceOverrideMode"]
        if self.fields["BootSourceOverrideEnabled"] == "Disabled":
            target = "None"
        if self.fields["BootSourceOverrideEnabled"] == "Once":
            self.fields.update(BootSourceOverrideTarget="None", BootSourceOverrideEnabled="Disabled")
        return DEVICES.get(target, "none"), MODES[mode]

    @property
    def etag(self):
        return '"%s"' % hashlib.sha256(json.dumps(self.fields).encode()).hexdigest()[:16]


class ActingDriver(fakedriver.FakeDriver):
    """The emulator's systems, with a machine behind each."""

    def __init__(self):
        super().__init__()
        socket = self._config["CHASSIS_SOCKET"]
        self.machines = {uuid: Chassis(socket, uuid) for uuid in self._systems}
        self.boots = {uuid: Boot() for uuid in self._systems}

    def get_power_state(self, identity):
        return "On" if self.machines[self.uuid(identity)].is_on() else "Off"

    def set_power_state(self, identity, state):
        machine = self.machines[self.uuid(identity)]
        order = ORDERS.get(state)
        if order is None:
            raise error.NotSupportedError(f"Power state {state} is not supported")
        if order == ("reset", "1") or (order == ("power", "1") and not machine.is_on()):
            machine.ask("set", "boot", *self.boots[self.uuid(identity)].take())
        machine.ask("set", *order)

    def get_boot_device(self, identity):
        return self.boots[self.uuid(identity)].fields["BootSourceOverrideTarget"]

    def get_boot_mode(self, identity):
        return self.boots[self.uuid(identity)].fields["BootSourceOverrideMode"]


fakedriver.FakeDriver = ActingDriver
app = main.app
tokens = {}
users = {}


def failed(status, message):
    return flask.jsonify({"error": {"code": "Base.1.0.GeneralError", "message": message}}), status


@app.before_request
def change_boot():
    """The emulator's own PATCH knows no `Enabled` and no ETag."""
    request = flask.request
    if request.method != "PATCH" or not request.path.startswith(SYSTEMS) or request.path.count("/") != 4:
        return None
    boot = app.systems.boots[app.systems.uuid(request.path[len(SYSTEMS) :])]
    wanted = (request.get_json(silent=True) or {}).get("Boot") or {}
    given = request.headers.get("If-Match")
    if given not in (None, "*", boot.etag):
        return failed(412, "the system has changed since it was read")
    unknown = set(wanted) - set(boot.fields)
    if unknown or wanted.get("BootSourceOverrideTarget", "None") not in DEVICES or wanted.get("BootSourceOverrideMode", "UEFI") not in MODES:
        return failed(400, f"cannot be set: {json.dumps(wanted)}")
    boot.fields.update(wanted)
    return "", 204


@app.after_request
def complete(response):
    """Adds what the emulator's templates lack."""
    request = flask.request
    if request.method != "GET" or response.status_code != 200 or not response.is_json:
        return response
    body = response.get_json()
    if request.path.rstrip("/") == "/redfish/v1":
        body["SessionService"] = {"@odata.id": SESSION_SERVICE}
        body["AccountService"] = {"@odata.id": ACCOUNT_SERVICE}
        body["Links"] = {"Sessions": {"@odata.id": SESSIONS}}
    elif request.path.startswith(SYSTEMS) and request.path.count("/") == 4:
        uuid = body["UUID"]
        boot = app.systems.boots[uuid]
        body["Boot"].update(boot.fields)
        body["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] = list(DEVICES)
        body["Boot"]["BootSourceOverrideEnabled@Redfish.AllowableValues"] = ["Disabled", "Once", "Continuous"]
        body["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] = list(ORDERS)
        body["SerialNumber"] = next(s.get("serial", "") for s in app.config["SUSHY_EMULATOR_FAKE_SYSTEMS"] if s["uuid"] == uuid)
        body["@odata.etag"] = boot.etag
        response.headers["ETag"] = boot.etag
    response.set_data(json.dumps(body))
    return response


@app.route(SESSION_SERVICE)
def session_service():
    return {"@odata.id": SESSION_SERVICE, "ServiceEnabled": True, "Sessions": {"@odata.id": SESSIONS}}


@app.route(SESSIONS)
def list_sessions():
    return {"@odata.id": SESSIONS, "Members": [{"@odata.id": f"{SESSIONS}/{name}"} for name in tokens.values()], "Members@odata.count": len(tokens)}


@app.route(SESSIONS, methods=["POST"])
def log_in():
    given = flask.request.get_json(silent=True) or {}
    try:
        auth_basic.authenticate(app.config["SUSHY_EMULATOR_AUTH_FILE"], given["UserName"], given["Password"].encode())
    except (error.FishyError, KeyError):
        return failed(401, "user name or password is wrong")
    token, name = secrets.token_hex(16), secrets.token_hex(4)
    tokens[token] = name
    Chassis(app.config["CHASSIS_SOCKET"], "session").ask("open", name)
    path = f"{SESSIONS}/{name}"
    return {"@odata.id": path, "Id": name, "UserName": given["UserName"]}, 201, {"X-Auth-Token": token, "Location": path}


@app.route(SESSIONS + "/<name>", methods=["DELETE"])
def log_out(name):
    for token in [token for token, owner in tokens.items() if owner == name]:
        del tokens[token]
        Chassis(app.config["CHASSIS_SOCKET"], "session").ask("close", name)
    return "", 204


@app.route(ACCOUNT_SERVICE)
def account_service():
    return {"@odata.id": ACCOUNT_SERVICE, "ServiceEnabled": True, "Accounts": {"@odata.id": ACCOUNTS}}


@app.route(ACCOUNTS)
def list_accounts():
    members = [{"@odata.id": f"{ACCOUNTS}/{number}"} for number in range(1, len(users) + 1)]
    return {"@odata.id": ACCOUNTS, "Members": members, "Members@odata.count": len(members)}


@app.route(ACCOUNTS + "/<int:number>", methods=["GET", "PATCH"])
def account(number):
    if not 1 <= number <= len(users):
        return failed(404, "there is no such account")
    name = list(users)[number - 1]
    if flask.request.method == "GET":
        return {"@odata.id": f"{ACCOUNTS}/{number}", "Id": str(number), "UserName": name, "Password": None, "Enabled": True}
    password = (flask.request.get_json(silent=True) or {}).get("Password")
    if not isinstance(password, str) or len(password) < 4:
        return failed(400, "a password has four characters or more")
    users[name] = password
    write_passwords()
    return "", 204


def write_passwords():
    with open(app.config["SUSHY_EMULATOR_AUTH_FILE"], "w", encoding="utf-8") as file:
        for user, password in users.items():
            file.write(f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")


class Doorkeeper(main.RedfishAuthMiddleware):
    """Lets in who has a token, and who comes for one; asks the others for name and password."""

    def __call__(self, env, start_response):
        is_login = env["REQUEST_METHOD"] == "POST" and env["PATH_INFO"].rstrip("/") == SESSIONS
        if is_login or env.get("HTTP_X_AUTH_TOKEN") in tokens:
            return self.app(env, start_response)
        if "HTTP_X_AUTH_TOKEN" in env:
            env.pop("HTTP_AUTHORIZATION", None)
        return super().__call__(env, start_response)


class Http11(WSGIRequestHandler):
    """Keeps connections, as real services do."""

    protocol_version = "HTTP/1.1"


def serve(config):
    passwords = os.path.join(config["dir"], "htpasswd")
    app.config.update(
        SUSHY_EMULATOR_AUTH_FILE=passwords,
        SUSHY_EMULATOR_FAKE_DRIVER=True,
        SUSHY_EMULATOR_STATE_DIR=config["dir"],
        SUSHY_EMULATOR_FAKE_SYSTEMS=config["systems"],
        CHASSIS_SOCKET=config["socket"],
    )
    users.update(config["users"])
    write_passwords()
    app.wsgi_app = Doorkeeper(app.wsgi_app, passwords)
    tls = None
    if "cert" in config:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(config["cert"], config["key"])
    make_server(config["address"], config["port"], app, threaded=True, ssl_context=tls, request_handler=Http11).serve_forever()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        serve(json.load(file))
