import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { WatchedChild, type ChildEnd } from './watched-child.ts';

/** A child that waits for ever, or runs what it is given. */
function started(script = 'setInterval(() => {}, 1000)', signal?: AbortSignal) {
  const told: (ChildEnd | 'aborted')[] = [];
  const child = new WatchedChild(
    spawn(process.execPath, ['-e', script]),
    { ended: (end) => told.push(end), aborted: () => told.push('aborted') },
    signal,
  );
  return { child, told };
}

describe('a watched child', () => {
  it('is killed when its time is over, and the limit says that it was', async () => {
    const { child, told } = started();
    const limit = child.limit(20);
    while (child.end === null) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(limit.isOver).toBe(true);
    expect(told).toEqual([{ exitCode: null, signal: 'SIGKILL', error: null }]);
    expect(child.processId).toBeNull();
    await child.close();
  });

  it('lives on where the limit was lifted', async () => {
    const { child } = started();
    const limit = child.limit(20);
    limit.stop();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([limit.isOver, child.end]).toEqual([false, null]);
    expect(child.processId).toBeGreaterThan(0);
    await child.close();
    expect(child.end).toMatchObject({ signal: 'SIGKILL' });
  });

  it('is killed when the user stops the whole, and not told so after it was closed', async () => {
    const stop = new AbortController();
    const { child, told } = started(undefined, stop.signal);
    stop.abort();
    await child.close();
    expect(told).toEqual(['aborted', { exitCode: null, signal: 'SIGKILL', error: null }]);

    const later = new AbortController();
    const other = started('', later.signal);
    await other.child.close();
    later.abort();
    expect(other.told).not.toContain('aborted');
  });

  it('tells its exit code', async () => {
    const { child, told } = started('process.exit(3)');
    while (child.end === null) await new Promise((resolve) => setTimeout(resolve, 10));
    await child.close();
    expect(told).toEqual([{ exitCode: 3, signal: null, error: null }]);
  });

  it('tells once why it could not be started', async () => {
    const told: ChildEnd[] = [];
    const child = new WatchedChild(
      spawn('/no/such/program'),
      { ended: (end) => told.push(end), aborted: () => undefined },
      undefined,
    );
    await child.close();
    expect(told).toHaveLength(1);
    expect(told[0]?.error).toMatchObject({ code: 'ENOENT' });
  });
});
