import { failure } from '../errors.ts';
import type { Lifecycle } from './index.ts';

/**
 * Data flows one way: transport, stage, hook, tap. A tap that calls a stage would close a circle. `running` tells the tap that is running.
 * @throws SIDERO_STAGE_IN_TAP
 */
export function refusedInTaps(lifecycle: Lifecycle, running: () => string | undefined): Lifecycle {
  return new Proxy(lifecycle, {
    get(target, stage, receiver) {
      const tap = running();
      if (tap) throw failure('SIDERO_STAGE_IN_TAP', { tap, stage: String(stage) });
      return Reflect.get(target, stage, receiver) as unknown;
    },
  });
}
