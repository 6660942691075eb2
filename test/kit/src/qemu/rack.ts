import { type NetworkBootMode, type ResourceClient, type Secret, SecretKind, type Server, ServerKind } from '@sidero/core';
import { type BmcProcess, startIpmiSim } from '../bmc/ipmi-sim.ts';
import type { Network } from './network.ts';
import type { SwitchedMachine } from './switched-machine.ts';

/** What its owner knows of a machine: where its BMC is, as the management plane finds it, who may log in to it, and what firmware it has. */
export interface BmcAccess {
  readonly endpoint: string;
  readonly port: number;
  readonly user: string;
  readonly pass: string;
  readonly pxeMode: NetworkBootMode;
}

/** A machine with its BMC. */
export interface RackedMachine extends AsyncDisposable {
  readonly machine: SwitchedMachine;
  readonly bmc: BmcProcess;
  readonly access: BmcAccess;
}

const USER = { name: 'admin', password: 'calvin-and-more' };

/**
 * Puts OpenIPMI's BMC in front of a machine. It listens on loopback of the machine's network, where nobody but the management plane is.
 *
 * @throws SIDERO_SIMULATOR_UNSUPPORTED, SIDERO_SIMULATOR_LATE
 */
export async function rackMachine(network: Network, machine: SwitchedMachine, port: number): Promise<RackedMachine> {
  const bmc = await startIpmiSim({ chassis: machine, space: network, port, users: [USER] });
  return {
    machine,
    bmc,
    access: { endpoint: bmc.address, port, user: USER.name, pass: USER.password, pxeMode: machine.options.firmware },
    async [Symbol.asyncDispose]() {
      // The BMC first, so that nobody switches the machine on again.
      await bmc[Symbol.asyncDispose]();
      await machine[Symbol.asyncDispose]();
    },
  };
}

/** What its owner does with a machine that has registered: the login of its BMC goes into a Secret, the Server names it and is accepted. */
export async function acceptWithBmc(resources: ResourceClient, uuid: string, access: BmcAccess): Promise<void> {
  const { endpoint, port, user, pass, pxeMode } = access;
  const secret = { namespace: 'default', name: `${uuid}-bmc` };
  const data = { user: Buffer.from(user).toString('base64'), pass: Buffer.from(pass).toString('base64') };
  await resources.create<Secret>(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: secret, type: 'Opaque', data });
  await resources.change<Server>(ServerKind, { name: uuid }, (draft) => {
    const userFrom = { secretKeyRef: { ...secret, key: 'user' } };
    const passFrom = { secretKeyRef: { ...secret, key: 'pass' } };
    draft.spec = { ...draft.spec, accepted: true, pxeMode, bmc: { endpoint, port, userFrom, passFrom } };
  });
}
