import type { ServerEvent } from '@sidero/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aSidero } from './sidero.fixture.ts';
import { fetchOverTftp } from './tftp/client.ts';
import { tftpService } from './tftp-service.ts';

const options = {
  address: '127.0.0.1',
  port: 0,
  maxBlockSize: 1468,
  maxWindowSize: 64,
  timeoutMs: 1000,
  retries: 6,
  maxTransfers: 10,
  maxTransfersPerAddress: 10,
};
let events: ServerEvent[];
let sidero: ReturnType<typeof aSidero>;
let stop: AbortController;
let running: Promise<void>;
let port: number;

beforeEach(async () => {
  events = [];
  stop = new AbortController();
  sidero = aSidero({ stream: (event) => void events.push(event) });
  sidero.files.add({ name: 'snp.efi', hint: '', open: async () => Buffer.alloc(5000) });
  sidero.files.add({ name: 'ipxe.efi', hint: 'install the package', open: async () => undefined });
  const service = tftpService(sidero, options);
  await new Promise<void>((ready) => (running = service.run(stop.signal, ready)));
  port = (JSON.parse(sidero.lines()[0]!) as { port: number }).port;
});
afterEach(async () => {
  stop.abort();
  await running;
});

const get = (file: string) => fetchOverTftp({ host: '127.0.0.1', port, file, blockSize: 1468, windowSize: 4 });

describe('TFTP as a service', () => {
  test('tells who asks for what, and how the transfer goes', async () => {
    await get('/snp.efi');
    await expect.poll(() => events.at(-1)).toMatchObject({ state: 'done' });
    expect(events).toMatchObject([
      { type: 'seen', wire: 'tftp', address: '127.0.0.1', detail: 'asks for snp.efi' },
      { type: 'transfer', wire: 'tftp', file: 'snp.efi', address: '127.0.0.1', state: 'running' },
      { type: 'transfer', wire: 'tftp', file: 'snp.efi', address: '127.0.0.1', sentBytes: 5000, totalBytes: 5000, state: 'done' },
    ]);
    const metrics = await sidero.metrics.text();
    expect(metrics).toContain('sidero_tftp_transfers_total{result="done"} 1');
    expect(metrics).toContain('sidero_tftp_sent_bytes_total 5000');
  });

  test('logs where a boot file that is missing comes from', async () => {
    await expect(get('ipxe.efi')).rejects.toMatchObject({ code: 'SIDERO_TFTP_TRANSFER_FAILED' });
    expect(sidero.lines().join()).toContain('install the package');
    expect(await sidero.metrics.text()).toContain('sidero_tftp_transfers_total{result="missing"} 1');
    expect(events.at(-1)).toMatchObject({ type: 'transfer', state: 'failed' });
  });

  test('ends when it is told to, transfers or not', async () => {
    stop.abort();
    await running;
  });
});
