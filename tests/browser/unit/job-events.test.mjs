import assert from 'node:assert/strict';
import test from 'node:test';

const { hearJob } = await import(`${process.env.STATIC}/job-events.js`);
const { followJob } = await import(`${process.env.STATIC}/follow-job.js`);

class Source {
  static all = [];
  closed = false;

  constructor(url, settings) {
    Object.assign(this, { url, settings });
    Source.all.push(this);
  }

  close() {
    this.closed = true;
  }

  tell(job) {
    this.onmessage({ data: JSON.stringify(job) });
  }
}
globalThis.EventSource = Source;

function hear(more = {}) {
  const shown = [];
  const told = hearJob('/jobs/1', { show: ({ state }) => shown.push(state), ...more });
  return { shown, told, source: Source.all.at(-1) };
}

test('each state is shown, and the last one ends it', async () => {
  const { shown, told, source } = hear({ withCredentials: true });
  for (const state of ['queued', 'running', 'failed']) source.tell({ state });
  assert.deepEqual(await told, { job: { state: 'failed' }, heard: true });
  assert.deepEqual(shown, ['queued', 'running', 'failed']);
  assert.equal(source.closed, true);
  assert.deepEqual(source.settings, { withCredentials: true });
});

test('a stream that breaks is closed, lest it come again by itself', async () => {
  const { told, source } = hear();
  source.tell({ state: 'running' });
  source.onerror();
  assert.deepEqual(await told, { job: null, heard: true });
  assert.equal(source.closed, true);
});

test('where nothing comes at once, somebody holds it back', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { told, source } = hear();
  t.mock.timers.tick(4999);
  assert.equal(source.closed, false);
  t.mock.timers.tick(1);
  assert.deepEqual(await told, { job: null, heard: false });
});

test('a stream that is silent for longer than the server speaks is dead', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { told, source } = hear();
  source.tell({ state: 'running' });
  t.mock.timers.tick(39_999);
  assert.equal(source.closed, false);
  t.mock.timers.tick(1);
  assert.deepEqual(await told, { job: null, heard: true });
});

test('it can be stopped', async () => {
  const { told, source } = hear({ begun: (stop) => queueMicrotask(stop) });
  assert.deepEqual(await told, { job: null, heard: false });
  assert.equal(source.closed, true);
});

test('between two hearings that end at once there is a wait', async () => {
  const waits = [];
  const run = {
    job: '/jobs/1',
    requests: new Set(),
    ready: async () => {},
    sleep: async (delay) => waits.push(delay),
  };
  const states = ['running', 'running', 'done'];
  const ask = async () => ({ json: { state: states.shift() }, header: () => null });
  const before = Source.all.length;
  const followed = followJob(run, { url: '/x' }, ask, () => {}, false);
  for (let number = before; number < before + 3; number += 1) {
    while (Source.all.length <= number) await new Promise(setImmediate);
    Source.all[number].tell({ state: 'running' });
    Source.all[number].onerror();
  }
  assert.equal((await followed).state, 'done');
  assert.deepEqual(waits, [1000, 1000]);
  assert.equal(run.requests.size, 0);
});
