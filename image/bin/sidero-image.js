#!/usr/bin/env node
// From a checkout the TypeScript sources run as they are (npm run build:image); from an installed package the built JavaScript does.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 24 || (major === 24 && minor >= 12)) await import('../dist/main.js');
else {
  console.error(
    `sidero-image needs Node 24.12 or newer; this is ${process.versions.node}.\n  Next: run it from a script of your package.json: npm puts the Node that comes with @sidero/image first.`,
  );
  process.exitCode = 1;
}
