import { coreCustomResources } from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { describeLeaderElection } from './leader-election.ts';
import { describeResourceClient, type RunningApi } from './resource-client.ts';

const start = (): Promise<RunningApi> => startApiServer({ customResources: coreCustomResources() });

describeResourceClient('the embedded API', start);
describeLeaderElection('the embedded API', start);
