import { defineConfig } from 'vitest/config';

const conditions = ['source', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      'core/src/**/*.test.ts',
      'plugins/*/src/**/*.test.ts',
      'plugins/*/machine/**/*.test.ts',
      'plugins/*/image/**/*.test.ts',
      'test/kit/src/**/*.test.ts',
      'test/{architecture,docs,parity,journeys}/**/*.test.ts',
    ],
    testTimeout: 20_000,
    pool: 'forks',
  },
});
