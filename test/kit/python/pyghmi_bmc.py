"""A BMC on pyghmi's server: pyghmi_bmc.py CONFIG

CONFIG is JSON: address, port, users (name to password), socket (of the chassis). RMCP+ with suite 3 only. Keeps all five
bytes of the boot flags, and refuses to cycle a machine that is off, as the specification wants it (completion code D5h).
"""

import json
import sys

from pyghmi.ipmi import bmc

from chassis import Chassis

NOT_IN_THIS_STATE = 0xD5
NOT_SUPPORTED_PARAMETER = 0x80
BOOT_FLAGS = 5
VALID, PERSISTENT, EFI = 0x80, 0x40, 0x20
DEVICES = {1: "pxe", 2: "default", 5: "cdrom", 6: "bios"}


class PyghmiBmc(bmc.Bmc):
    def __init__(self, config):
        super().__init__(config["users"], port=config["port"], address=config["address"])
        self._chassis = Chassis(config["socket"])
        self._flags = bytes(5)

    def get_power_state(self):
        return "on" if self._chassis.is_on() else "off"

    def power_on(self):
        if not self._chassis.is_on():
            self._order_boot()
        self._chassis.ask("set", "power", "1")

    def power_off(self):
        self._chassis.ask("set", "power", "0")

    def power_cycle(self):
        if not self._chassis.is_on():
            return NOT_IN_THIS_STATE
        self._order_boot()
        self._chassis.ask("set", "reset", "1")

    power_reset = power_cycle

    def power_shutdown(self):
        self._chassis.ask("set", "shutdown", "1")

    def set_system_boot_options(self, request, session):
        parameter, data = request["data"][0] & 0x7F, bytes(request["data"][1:])
        if parameter == BOOT_FLAGS:
            self._flags = data[:5]
        session.send_ipmi_response(code=0 if parameter in (0, 3, 4, BOOT_FLAGS) else NOT_SUPPORTED_PARAMETER)

    def get_system_boot_options(self, request, session):
        if request["data"][0] & 0x7F != BOOT_FLAGS:
            return session.send_ipmi_response(code=NOT_SUPPORTED_PARAMETER)
        return session.send_ipmi_response(data=[1, BOOT_FLAGS, *self._flags])

    def _order_boot(self):
        """Tells the machine what it is to boot; flags that are not persistent hold once."""
        first, device = self._flags[0], DEVICES.get(self._flags[1] >> 2 & 0xF, "none")
        self._chassis.ask("set", "boot", device if first & VALID else "none", "uefi" if first & EFI else "bios")
        if not first & PERSISTENT:
            self._flags = bytes(5)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        PyghmiBmc(json.load(file)).listen()
