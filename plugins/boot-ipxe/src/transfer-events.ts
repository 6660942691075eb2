import type { ServerEvent } from '@sidero/core';

/** At most one `running` event of a transfer in this time. */
const INTERVAL_MS = 100;

/** The steps of one transfer, told as `transfer` events. */
export interface TransferEvents {
  sent(sentBytes: number, totalBytes: number): void;
  /** With the last numbers that `sent` gave. */
  end(state: 'done' | 'failed'): void;
}

export function transferEvents(
  of: { readonly wire: 'tftp' | 'http'; readonly file: string; readonly address: string },
  stream: (event: ServerEvent) => void,
): TransferEvents {
  let last = { sentBytes: 0, totalBytes: 0 };
  let toldMs = Number.NEGATIVE_INFINITY;
  const tell = (state: 'running' | 'done' | 'failed') => stream({ type: 'transfer', ...of, ...last, state, at: new Date() });
  return {
    sent(sentBytes, totalBytes) {
      last = { sentBytes, totalBytes };
      const nowMs = performance.now();
      if (nowMs - toldMs < INTERVAL_MS) return;
      toldMs = nowMs;
      tell('running');
    },
    end: tell,
  };
}
