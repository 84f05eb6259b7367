import { info, loss } from '../../events.js';

export const WRITING = info('writing', 'writing: {file}');
export const WRITE_FAILED = loss(
  'write_failed',
  'writing: {file}: {reason}; keeping up to {memoryLimit:memory} in memory, trying every second',
);
export const WRITE_RESUMED = info('write_resumed', 'writing: {file}: goes on');
export const UNTERMINATED = info(
  'unterminated_datagrams',
  'writing: datagrams without a newline at their end follow each other on one line; if each is a record of its own, use --frame line',
);

export const FILE_REOPENED = info('file_reopened', 'writing: {file}: reopened');
export const REOPEN_FAILED = loss('reopen_failed', 'reopening: {file}: {reason}; going on with the old file');
export const FILE_ROTATED = info('file_rotated', 'writing: {file}: rotated to {piece}');
/** A task beside writing: `rotating`, `compressing`, `removing old files`. */
export const TASK_FAILED = loss('file_task_failed', '{task}: {file}: {reason}; {advice}');
export const TASK_RESUMED = info('file_task_resumed', '{task}: {file}: goes on');

export const READER_LEFT = info('reader_left', '{file}: closed by its reader');
export const READER_BEHIND = loss('reader_behind', '{file}: its reader did not take the last {bytes} bytes');
export const STREAM_FAILED = loss(
  'stream_failed',
  'writing: {file}: {reason}; what follows for it is dropped',
);

export const FILE_AWAITED = info('file_awaited', 'following: {file}: {reason}; waiting for it');
export const FILE_REPLACED = info('file_replaced', 'following: {file}: a new file has its name');
export const FILE_TRUNCATED = info('file_truncated', 'following: {file}: truncated; going on from its start');
export const UNREAD_TRUNCATED = loss(
  'unread_truncated',
  'following: {file}: truncated; going on from its start; {unread:byte(s)} were not read before',
);
