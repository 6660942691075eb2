import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Chassis, ChassisControl, type PowerAction } from './chassis.ts';

export interface PowerApiOptions {
  /** The machine whose power it has. */
  readonly chassis: Chassis;
  /** TCP. Default: a free one. */
  readonly port?: number;
}

/** An HTTP power API of this process. */
export interface PowerApi extends AsyncDisposable {
  /** `127.0.0.1:port`, as `spec.managementApi.endpoint` wants it. */
  readonly endpoint: string;
  readonly control: ChassisControl;
  /** From now on it answers nothing. */
  silence(): void;
}

const ORDERS: Readonly<Record<string, PowerAction>> = { '/poweron': 'on', '/poweroff': 'off', '/reboot': 'cycle' };

/** What talosctl's QEMU provisioner serves for each machine: `POST /poweron`, `/poweroff`, `/reboot`, `/pxeboot` and `GET /status`. */
export async function startPowerApi({ chassis, port = 0 }: PowerApiOptions): Promise<PowerApi> {
  const control = new ChassisControl(chassis);
  let isSilent = false;
  const server = createServer((request, response) => {
    request.resume();
    if (!isSilent) answer(control, request, response).catch((thrown: unknown) => response.writeHead(500).end(String(thrown)));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    control,
    silence: () => {
      isSilent = true;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(control: ChassisControl, { method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (url === '/status') {
    if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(501).end();
    return void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"PoweredOn":${control.isOn()}}\n`);
  }
  const order = ORDERS[url];
  if (!order && url !== '/pxeboot') return void response.writeHead(404).end();
  if (method !== 'POST') return void response.writeHead(501).end();
  if (order) await control.power(order);
  else control.override = { device: 'network', isPersistent: false };
  response.writeHead(200).end();
}
