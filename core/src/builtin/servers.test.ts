import { describe, expect, test } from 'vitest';
import { SERVER_FINALIZER, type Server, type ServerBinding } from '../index.ts';
import { keepBooks } from './servers.ts';

const now = new Date('2026-11-22T12:00:00Z');
const aServer = (more: Partial<Server> = {}): Server =>
  ({
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: 'x', finalizers: [SERVER_FINALIZER] },
    spec: { accepted: true },
    status: { isClean: true },
    ...more,
  }) as Server;
const binding = (installed: boolean): ServerBinding =>
  ({
    metadata: { name: 'x' },
    status: { conditions: installed ? [{ type: 'TalosInstalled', status: 'True', lastTransitionTime: now.toISOString() }] : [] },
  }) as ServerBinding;
const kept = (server: Server, bound?: ServerBinding): Server => {
  keepBooks(server, bound, now);
  return server;
};

describe('a free server', () => {
  test('that is clean stays clean and is not in use', () => {
    expect(kept(aServer()).status).toEqual({ inUse: false, isClean: true });
  });
  test('that is not accepted is never clean', () => {
    expect(kept(aServer({ spec: { accepted: false } })).status?.isClean).toBe(false);
  });
  test('network-boots again: PXEBooted goes', () => {
    const server = aServer({ status: { conditions: [{ type: 'PXEBooted', status: 'True', lastTransitionTime: now.toISOString() }] } });
    expect(kept(server).status?.conditions).toEqual([]);
  });
  test('that is being deleted is let go', () => {
    const server = aServer({ metadata: { name: 'x', deletionTimestamp: now.toISOString(), finalizers: [SERVER_FINALIZER, 'other'] } });
    expect(kept(server).metadata.finalizers).toEqual(['other']);
  });
});

describe('an allocated server', () => {
  test('is in use and no longer clean', () => {
    expect(kept(aServer(), binding(false)).status).toEqual({ inUse: true, isClean: false });
  });
  test('boots from disk once Talos is installed', () => {
    expect(kept(aServer(), binding(true)).status?.conditions).toMatchObject([{ type: 'PXEBooted', status: 'True' }]);
  });
  test('is not deleted under its machine', () => {
    const server = aServer({ metadata: { name: 'x', deletionTimestamp: now.toISOString(), finalizers: [SERVER_FINALIZER] } });
    expect(kept(server, binding(false)).metadata.finalizers).toEqual([SERVER_FINALIZER]);
  });
  test('keeps no owner: the original emptied it too', () => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: '1' }];
    expect(kept(aServer({ metadata: { name: 'x', ownerReferences } }), binding(false)).metadata.ownerReferences).toBeUndefined();
  });
});
