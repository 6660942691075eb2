import { type BootFile, definePlugin } from '@sidero/core';
import * as z from 'zod';
import { seededRandom } from './random.ts';
