import type { NetworkBootMode } from '@sidero/core';
import {
  BOOT_DEVICE,
  BOOT_PARAMETER,
  type BootFlags,
  CHASSIS_CONTROL,
  decodeBootFlags,
  decodeBootOptionValue,
  decodeChassisStatus,
  encodeBootFlags,
  encodeBootOption,
  encodeBootOptionQuery,
  KEEP_BOOT_FLAGS,
  SET_IN_PROGRESS,
} from '../wire/chassis-commands.ts';
import { COMMAND } from '../wire/commands.ts';
import { COMPLETION } from '../wire/completion-codes.ts';
import { bmcFailure, completionFailure, type Subject } from './bmc-failure.ts';
import { type BmcConnection, nothing } from './connection.ts';

/** What a BMC does to the machine it sits in. */
export class Chassis {
  readonly #bmc: BmcConnection;
  readonly #subject: Subject;

  constructor(bmc: BmcConnection, subject: Subject) {
    this.#bmc = bmc;
    this.#subject = subject;
  }

  async isOn(signal: AbortSignal): Promise<boolean> {
    return (await this.#bmc.command({ command: COMMAND.getChassisStatus, what: 'power status', signal }, decodeChassisStatus)).isOn;
  }

  async on(signal: AbortSignal): Promise<void> {
    await this.#bmc.command({ command: COMMAND.chassisControl, what: 'power on', data: Uint8Array.of(CHASSIS_CONTROL.on), signal }, nothing);
  }

  async off(signal: AbortSignal): Promise<void> {
    await this.#bmc.command({ command: COMMAND.chassisControl, what: 'power off', data: Uint8Array.of(CHASSIS_CONTROL.off), signal }, nothing);
  }

  cycle(signal: AbortSignal): Promise<void> {
    return this.#once('power cycle', CHASSIS_CONTROL.cycle, signal);
  }

  /** Asks the operating system to shut down, by ACPI. */
  soft(signal: AbortSignal): Promise<void> {
    return this.#once('soft shutdown', CHASSIS_CONTROL.softOff, signal);
  }

  // Asking for the state first finds a session that the BMC has forgotten by something that may be repeated.
  async #once(what: string, control: number, signal: AbortSignal): Promise<void> {
    await this.isOn(signal);
    const response = await this.#bmc.requestOnce({ command: COMMAND.chassisControl, what, data: Uint8Array.of(control), signal });
    if (response?.completionCode === COMPLETION.ok) return;
    if (response && response.completionCode !== COMPLETION.duplicate) throw completionFailure(this.#subject, what, response.completionCode);
    // Nobody knows whether it was done, and to do it again could be once too often.
    const state = (await this.isOn(signal)) ? 'on' : 'off';
    throw bmcFailure(this.#subject, 'SIDERO_BMC_FAULT', `${what}: not acknowledged, and not repeated; the machine is ${state} now`);
  }

  /**
   * Boots from the network next time, once. The sequence is that of ipmitool and of the original, with the flags kept for longer than the
   * 60 s of the specification, and read back. Gives what could not be verified, as a clause; undefined when all was.
   * @throws SIDERO_BMC_FAULT when the BMC names another device afterwards, and what `command` throws
   */
  async networkBootOnce(mode: NetworkBootMode, signal: AbortSignal): Promise<string | undefined> {
    const { setInProgress, acknowledge, validBitClearing, flags } = BOOT_PARAMETER;
    const wished = { isValid: true, isPersistent: false, isUefi: mode === 'uefi', device: BOOT_DEVICE.pxe };
    const hasProgress = (await this.#setBootOption(setInProgress, [SET_IN_PROGRESS.inProgress], signal)) === COMPLETION.ok;
    const end = async (): Promise<unknown> => hasProgress && this.#setBootOption(setInProgress, [SET_IN_PROGRESS.complete], signal);
    const acknowledged = await this.#setBootOption(acknowledge, [1, 1], signal);
    if (acknowledged !== COMPLETION.ok) {
      await end();
      throw completionFailure(this.#subject, 'boot option acknowledge', acknowledged);
    }
    const kept = await this.#setBootOption(validBitClearing, [KEEP_BOOT_FLAGS.onTimeout], signal);
    const set = await this.#setBootOption(flags, [...encodeBootFlags(wished)], signal);
    if (set === COMPLETION.ok && hasProgress) await this.#setBootOption(setInProgress, [SET_IN_PROGRESS.commit], signal);
    await end();
    if (set !== COMPLETION.ok) throw completionFailure(this.#subject, 'boot flags', set);
    const doubts = [await this.#verify(wished, signal), kept === COMPLETION.ok ? undefined : 'the order may lapse after 60 s'];
    return doubts.filter((doubt) => doubt !== undefined).join('; ') || undefined;
  }

  /** The boot flags as the BMC keeps them; undefined when it does not say, or says that they mean nothing now. */
  async bootFlags(signal: AbortSignal): Promise<BootFlags | undefined> {
    const data = encodeBootOptionQuery(BOOT_PARAMETER.flags);
    return this.#bmc.commandIfKnown({ command: COMMAND.getBootOption, what: 'boot flags', data, signal }, (answer) => {
      const { isInvalid, value } = decodeBootOptionValue(answer);
      return isInvalid ? undefined : decodeBootFlags(value);
    });
  }

  // Only another device is a contradiction: there are BMCs that boot as told, and keep nothing else of the flags.
  async #verify(wished: BootFlags, signal: AbortSignal): Promise<string | undefined> {
    const kept = await this.bootFlags(signal);
    if (!kept) return 'the boot flags cannot be read back';
    if (kept.device !== wished.device) {
      throw bmcFailure(
        this.#subject,
        'SIDERO_BMC_FAULT',
        `told to boot from the network, it keeps boot device ${kept.device} instead of ${wished.device}`,
      );
    }
    const lost = (['isValid', 'isPersistent', 'isUefi'] as const).filter((flag) => kept[flag] !== wished[flag]);
    return lost.length === 0 ? undefined : `the BMC keeps the boot device, but not ${lost.map((flag) => FLAG_NAMES[flag]).join(', ')}`;
  }

  /** The completion code. */
  async #setBootOption(parameter: number, value: readonly number[], signal: AbortSignal): Promise<number> {
    const data = encodeBootOption({ parameter, value: Uint8Array.from(value) });
    return (await this.#bmc.request({ command: COMMAND.setBootOption, what: `boot option ${parameter}`, data, signal })).completionCode;
  }
}

const FLAG_NAMES = { isValid: 'that it is valid', isPersistent: 'that it is for once', isUefi: 'its firmware mode' } as const;
