import { once } from 'node:events';
import type { Service, Sidero } from '@sidero/core';
import { type TftpBackend, TftpServer, type TftpServerOptions } from './tftp/server.ts';
import { type TransferEvents, transferEvents } from './transfer-events.ts';

/** TFTP on every replica, out of the registry of boot files. */
export function tftpService(sidero: Sidero, options: TftpServerOptions): Service {
  return {
    name: 'tftp',
    where: 'every',
    async run(signal, ready) {
      await using server = await TftpServer.start(options, backendOf(sidero));
      sidero.log.info({ address: options.address, port: server.port }, 'TFTP serves');
      ready();
      if (!signal.aborted) await once(signal, 'abort');
    },
  };
}

function backendOf(sidero: Sidero): TftpBackend {
  const { files, lifecycle, log, metrics } = sidero;
  const transfers = metrics.counter('sidero_tftp_transfers_total', 'TFTP requests by how they ended.', ['result']);
  const sentBytes = metrics.counter('sidero_tftp_sent_bytes_total', 'Bytes of files that clients have acknowledged.');
  const running = new Map<string, TransferEvents>();
  const stream = lifecycle.stream.bind(lifecycle);
  return {
    async open(name) {
      const file = files.get(name);
      const bytes = await file?.open();
      if (file && !bytes) log.error({ file: name, hint: file.hint }, 'boot file is missing');
      return bytes;
    },
    started(read) {
      stream({ type: 'seen', wire: 'tftp', address: read.address, detail: `asks for ${read.file}`, at: new Date() });
      running.set(read.client, transferEvents({ wire: 'tftp', file: read.file, address: read.address }, stream));
    },
    progress: (read) => running.get(read.client)?.sent(read.sentBytes, read.totalBytes),
    ended(result, read, detail) {
      transfers({ result });
      if (result === 'failed') log.error({ ...read, detail }, 'TFTP failed');
      else if (result === 'done' || result === 'declined') log.debug({ ...read, detail }, 'TFTP transfer ended');
      else log.warn({ ...read, result, detail }, 'TFTP request not served');
      if (!read) return;
      sentBytes({}, read.sentBytes);
      const events = running.get(read.client);
      running.delete(read.client);
      if (result !== 'declined') events?.end(result === 'done' ? 'done' : 'failed');
    },
  };
}
