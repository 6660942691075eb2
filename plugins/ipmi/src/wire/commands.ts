import { NET_FN } from './lan-message.ts';

/** Network function and number of a command (IPMI 2.0, appendix G). */
export interface Command {
  readonly netFn: number;
  readonly command: number;
}

const app = (command: number): Command => ({ netFn: NET_FN.app, command });
const chassis = (command: number): Command => ({ netFn: NET_FN.chassis, command });
const transport = (command: number): Command => ({ netFn: NET_FN.transport, command });

/** The commands we speak. What their data looks like stands in chassis-commands.ts, session-commands.ts, user-commands.ts and device-commands.ts. */
export const COMMAND = {
  getChassisStatus: chassis(0x01),
  chassisControl: chassis(0x02),
  setBootOption: chassis(0x08),
  getBootOption: chassis(0x09),
  getDeviceId: app(0x01),
  getAuthCapabilities: app(0x38),
  getSessionChallenge: app(0x39),
  activateSession: app(0x3a),
  setSessionPrivilege: app(0x3b),
  closeSession: app(0x3c),
  getChannelInfo: app(0x42),
  setUserAccess: app(0x43),
  getUserAccess: app(0x44),
  setUserName: app(0x45),
  getUserName: app(0x46),
  setUserPassword: app(0x47),
  getChannelCipherSuites: app(0x54),
  setLanParameter: transport(0x01),
  getLanParameter: transport(0x02),
} as const;

/** Whether a request or an answer is of that command. */
export function isCommand(message: Command, { netFn, command }: Command): boolean {
  return (message.netFn & ~1) === netFn && message.command === command;
}
