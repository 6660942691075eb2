import { defineErrors } from '@sidero/core';

/** The error table of the image's builder; alphabetical. */
export const failure = defineErrors({
  SIDERO_IMAGE_AGENT_MISSING: {
    message: (d: { folder: string }) => `The agent's vmlinuz and initramfs.xz are not in ${d.folder}.`,
    next: () => 'build them in a checkout of Sidero (npm run build:agent), name their folder with --agent, or leave them out with --without-agent.',
  },
  SIDERO_IMAGE_COMMAND_FAILED: {
    message: (d: { command: string; problem: string }) => `${d.command}: ${d.problem}.`,
    next: (d: { next: string }) => `${d.next}.`,
  },
  SIDERO_IMAGE_CONFIG_UNREADABLE: {
    message: (d: { file: string; problem: string }) => `The configuration ${d.file} cannot be loaded: ${d.problem}`,
    next: () => 'correct it until sidero inspect takes it.',
  },
  SIDERO_IMAGE_FILE_OUTSIDE: {
    message: (d: { file: string; folder: string }) => `The configuration imports ${d.file}, which is outside of its folder, ${d.folder}.`,
    next: () => 'move the file below the folder of the configuration, or make a package of it that the project depends on.',
  },
  SIDERO_IMAGE_NODE_MISSING: {
    message: (d: { package: string }) => `The package ${d.package}, which has the Node of the image, is not installed.`,
    next: (d: { package: string }) => `npm ci, without --omit=optional; or npm install --save-optional --save-exact ${d.package}@24.21.0.`,
  },
  SIDERO_IMAGE_PACKAGE_MISSING: {
    message: (d: { name: string; by: string }) => `The package ${d.name}, which ${d.by} depends on, is not installed.`,
    next: () => 'npm ci, then try again.',
  },
  SIDERO_IMAGE_PACKAGE_UNBUILT: {
    message: (d: { name: string; missing: string }) => `The package ${d.name} is not built: ${d.missing} is missing.`,
    next: () => 'build it (here: npm run build), then try again.',
  },
  SIDERO_IMAGE_PLATFORM_FOREIGN: {
    message: (d: { platform: string; host: string }) => `An image for ${d.platform} is not built on ${d.host}.`,
    next: (d: { platform: string }) => `build it on a machine with ${d.platform}, where npm has installed the native halves of packages for it.`,
  },
});
