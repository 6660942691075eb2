import { join } from 'node:path';
import { type BootFacts, type BootPlan, clientAddress, ServerBindingKind, ServerClassKind, ServerKind, type Sidero } from '@sidero/core';
import { type BootQuery, parseBootQuery } from './boot-query.ts';
import { inMemory, openStored } from './files.ts';
import { bootstrapScript, renderBootScript, renderWaitScript } from './script.ts';
import { answerFile, type HttpContext } from './static-file.ts';
import { transferEvents } from './transfer-events.ts';

/** Pause of a machine that has to wait, before it asks again. */
const RETRY_SECONDS = 10;

/** Registers `/boot.ipxe`, `/ipxe`, `/env/…` and `/tftp/…`. */
export function addRoutes(sidero: Sidero): void {
  sidero.http.route('GET', '/boot.ipxe', (context) => answerText(context, { status: 200, body: bootstrapScript(sidero.site.authority) }));
  sidero.http.route('GET', '/ipxe', (context) => answerBoot(sidero, context));
  sidero.http.route('GET', '/env/:folder/:file', (context) => answerEnvironmentFile(sidero, context));
  sidero.http.route('GET', '/tftp/:file', (context) => answerBootFile(sidero, context));
}

async function answerBoot(sidero: Sidero, context: HttpContext): Promise<void> {
  const query = parseBootQuery(context.querystring);
  const address = clientAddress(context.ip);
  const isAsking = context.method !== 'HEAD';
  if (isAsking) {
    const who = { ...(query.uuid && { uuid: query.uuid }), ...(query.mac && { mac: query.mac }), address };
    sidero.lifecycle.stream({ type: 'seen', wire: 'ipxe', ...who, at: new Date() });
  }
  const plan = await sidero.lifecycle.boot({ ...query, address, ...(!isAsking && { peek: true }) });
  answerText(context, await render(sidero, plan, { query, isIpxe: /^iPXE\//i.test(context.get('User-Agent')) }));
}

async function render(sidero: Sidero, plan: BootPlan, asker: { readonly query: BootQuery; readonly isIpxe: boolean }): Promise<Answer> {
  switch (plan.target) {
    case 'disk':
      return answerFromDisk(sidero, plan.method, asker.query.uuid);
    case 'wait': {
      // iPXE shows no body of a failure, and would leave for the next NIC: it gets a script that shows the reason instead.
      const again = { authority: sidero.site.authority, query: asker.query, seconds: RETRY_SECONDS };
      return asker.isIpxe ? { status: 200, body: renderWaitScript(plan.reason, again) } : { status: plan.status, body: plan.reason };
    }
    default:
      return { status: 200, body: renderBootScript(plan) };
  }
}

async function answerFromDisk(sidero: Sidero, method: string, uuid: string): Promise<Answer> {
  const { diskBoots, log } = sidero;
  const known = diskBoots.get(method);
  if (!known) {
    const choices = diskBoots.list().map(({ name }) => name);
    log.warn({ server: uuid, bootFromDiskMethod: method, choices }, 'unknown way to boot from disk, using ipxe-exit');
  }
  return (known ?? diskBoots.get('ipxe-exit')!).answer(await factsOf(sidero, uuid));
}

async function factsOf({ resources }: Sidero, name: string): Promise<BootFacts> {
  const [server, binding] = await Promise.all([resources.get(ServerKind, { name }), resources.get(ServerBindingKind, { name })]);
  const className = binding?.spec?.serverClassRef?.name;
  return { server, binding, serverClass: className ? await resources.get(ServerClassKind, { name: className }) : undefined };
}

async function answerEnvironmentFile(sidero: Sidero, context: HttpContext): Promise<void> {
  const { folder = '', file: name = '' } = context['params'] as { folder?: string; file?: string };
  const file = await openStored(join(sidero.site.dataDir, 'env'), folder, name);
  if (file) await answerFile(context, file, eventsOf(sidero, context, `${folder}/${name}`));
}

async function answerBootFile(sidero: Sidero, context: HttpContext): Promise<void> {
  const { file: name = '' } = context['params'] as { file?: string };
  const entry = sidero.files.get(name);
  const bytes = await entry?.open();
  if (entry && !bytes) sidero.log.error({ file: name, hint: entry.hint }, 'boot file is missing');
  if (bytes) await answerFile(context, inMemory(bytes), eventsOf(sidero, context, name));
}

function eventsOf(sidero: Sidero, context: HttpContext, file: string) {
  return transferEvents({ wire: 'http', file, address: clientAddress(context.ip) }, (event) => sidero.lifecycle.stream(event));
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function answerText(context: HttpContext, { status, body }: Answer): void {
  context.status = status;
  context.type = 'text/plain; charset=utf-8';
  context.body = body;
}
