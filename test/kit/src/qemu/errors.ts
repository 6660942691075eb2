import { defineErrors, messageOf } from '@sidero/core';

/** Errors of the QEMU harness; alphabetical. */
export const failure = defineErrors({
  SIDERO_QEMU_COMMAND_FAILED: {
    message: (d: { command: string; outcome: string; output: string }) => `${d.command} ended with ${d.outcome}: ${d.output || 'no output'}.`,
    next: (d: { command: string }) => `see what ${d.command.split(' ')[0]} asks for; a network needs the rights that qemuSupport() checks.`,
  },
  SIDERO_QEMU_LINE_MISSING: {
    message: (d: { name: string; pattern: string; why: string; tail: string }) =>
      `${d.name}: no line matches ${d.pattern} (${d.why}). Its last lines:\n${d.tail}`,
    next: (d: { name: string }) => `read what ${d.name} printed last.`,
  },
  SIDERO_QEMU_START_FAILED: {
    message: (d: { name: string; cause?: unknown }) => `${d.name} could not be started: ${messageOf(d.cause)}.`,
    next: () => 'install what `qemuSupport()` names as missing.',
  },
  SIDERO_QEMU_UNSUPPORTED: {
    message: (d: { missing: readonly { what: string }[] }) =>
      `QEMU machines cannot run here; missing: ${d.missing.map(({ what }) => what).join('; ')}.`,
    next: (d: { missing: readonly { remedy: string }[] }) => [...new Set(d.missing.map(({ remedy }) => remedy))].join('; '),
  },
});
