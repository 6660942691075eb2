import type { Metrics } from '@sidero/core';
import type { Waste } from './record-splitter.ts';

/** What is measured of kernel logs. */
export interface LogMeters {
  connections(open: number): void;
  /** What one read brought. */
  read(lines: number, bytes: number): void;
  /** A record that was none; `late`: it was begun, and not ended in time. */
  wasted(why: Waste | 'late'): void;
  /** A connection that was not taken, or was closed. */
  refused(reason: 'stranger' | 'limit' | 'idle' | 'gone'): void;
}

export function logMeters(metrics: Metrics): LogMeters {
  const open = metrics.gauge('sidero_kernel_log_connections', 'Open connections of kernel logs.');
  const lines = metrics.counter('sidero_kernel_log_lines_total', 'Records of kernel logs that were taken.');
  const bytes = metrics.counter('sidero_kernel_log_bytes_total', 'Bytes of kernel logs that were read.');
  const wasted = metrics.counter('sidero_kernel_log_dropped_total', 'Records of kernel logs that were none.', ['reason']);
  const refused = metrics.counter('sidero_kernel_log_refused_total', 'Connections for kernel logs that were not taken, or were closed.', ['reason']);
  return {
    connections: (count) => open(count),
    read(lineCount, byteCount) {
      if (lineCount > 0) lines({}, lineCount);
      bytes({}, byteCount);
    },
    wasted: (reason) => wasted({ reason }),
    refused: (reason) => refused({ reason }),
  };
}
