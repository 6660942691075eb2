import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const conditions = ['source', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      'core/src/**/*.test.ts',
      'image/src/**/*.test.ts',
      'plugins/*/src/**/*.test.ts',
      'plugins/*/machine/**/*.test.ts',
      'plugins/*/image/**/*.test.ts',
      'test/kit/src/**/*.test.ts',
      'test/{architecture,docs,parity,journeys}/**/*.test.ts',
    ],
    // A busy host is late, not wrong: these only end what hangs. What a hook starts takes as long as what a test starts.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    // Much of a journey is waiting: three share two cores well. Vitest's own choice on two cores is one.
    maxWorkers: Math.max(2, Math.ceil(availableParallelism() * 1.5)),
  },
});
