import { hasCode, type Logger, type SideroError } from '@sidero/core';
import { failure } from '../errors.ts';
import type { SideroLinkOptions } from '../plugin.ts';
import { openKernelTunnel } from './kernel.ts';
import { openLoopbackTunnel } from './loopback.ts';
import type { OpenTunnel } from './tunnel.ts';
import { userSpaceTunnel } from './user-space.ts';

/** The tunnel that the option names. */
export function chooseTunnel(wanted: SideroLinkOptions['tunnel'], log: Logger): OpenTunnel {
  const userSpace = userSpaceTunnel({ log });
  const choices: Readonly<Record<SideroLinkOptions['tunnel'], OpenTunnel>> = {
    auto: either(openKernelTunnel, userSpace),
    kernel: openKernelTunnel,
    'user-space': userSpace,
    loopback: openLoopbackTunnel,
  };
  return choices[wanted];
}

/** The first, and where that cannot be, the second. */
function either(first: OpenTunnel, second: OpenTunnel): OpenTunnel {
  const code = 'SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE';
  return async (plan, signal) => {
    try {
      return await first(plan, signal);
    } catch (thrown) {
      if (!hasCode(thrown, code)) throw thrown;
      return await second(plan, signal).catch((other: unknown) => {
        throw hasCode(other, code) ? both(plan.interface, thrown, other) : other;
      });
    }
  };
}

function both(name: string, first: SideroError, second: SideroError): SideroError {
  const why = `${String(first.details['why'])}, and ${String(second.details['why'])}`;
  return failure('SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE', { interface: name, why, next: second.next });
}
