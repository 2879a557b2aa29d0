// Our client as a child process that speaks JSON lines: one request per line on its standard input, `{id, op, ...}`,
// one answer per line on its standard output, `{id, ok}` or `{id, error}`. README.md lists the operations.
//
// Environment:
//   SUBROSA_DRIVER  the program `subrosa`, started as `subrosa drive`; or a script in .mjs, run by the node that runs this one
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Failed, dbDir, nodeUrl, wallet } from './lib.mjs';

/** How to start a driver. The node of this process may itself run under another dynamic loader. */
function command() {
  const driver = process.env.SUBROSA_DRIVER;
  if (!driver) throw new Error('set SUBROSA_DRIVER to the driver of our client');
  if (!driver.endsWith('.mjs')) return [driver, 'drive'];
  const self = readFileSync('/proc/self/cmdline', 'utf8').split('\0');
  return [...self.slice(0, self.findIndex((word) => word.endsWith('.mjs'))), driver];
}

const running = new Set();
process.on('exit', () => { for (const child of running) child.kill(); });

class Ours {
  #child;
  #next = 1;
  #open = new Map();

  constructor() {
    const [program, ...args] = command();
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, XMTP_DB_DIR: dbDir } });
    running.add(this.#child);
    this.#child.on('error', (e) => this.#fail(`our driver does not start: ${e.message}`));
    this.#child.on('exit', (code, signal) => { running.delete(this.#child); this.#fail(`our driver ended (${code ?? signal})`); });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line);
      const waiting = this.#open.get(answer.id);
      this.#open.delete(answer.id);
      if ('error' in answer) waiting?.reject(new Failed(`our ${waiting.op}: ${answer.error}`));
      else waiting?.resolve(answer.ok);
    });
  }

  #fail(why) {
    for (const { reject } of this.#open.values()) reject(new Failed(why));
    this.#open.clear();
  }

  /** Asks for one operation; requests may overlap. */
  call(op, fields = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Failed(`our ${op} took longer than 60 s`)), 60_000);
      const settle = (then) => (value) => { clearTimeout(timer); then(value); };
      this.#open.set(id, { op, resolve: settle(resolve), reject: settle(reject) });
      this.#child.stdin.write(JSON.stringify({ id, op, ...fields }) + '\n');
    });
  }

  /** Ends the process in an orderly way. */
  async exit() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.call('exit').catch(() => {});
    this.#child.stdin.end();
    await ended;
  }
}

const fresh = () => `ours-${randomBytes(6).toString('hex')}`;
const place = (db) => ({ node: nodeUrl, path: path.join(dbDir, `${db}.db3`), db_key: '07'.repeat(32) });

/** A client of ours, registered: its own wallet and database unless others are given. */
export async function ours({ w = wallet(), db = fresh() } = {}) {
  const client = new Ours();
  const made = await client.call('create', { ...place(db), wallet_key: w.privateKey.slice(2) });
  return Object.assign(client, made, { w, db });
}

/** A client of ours that waits for the signature of this identifier; `unsigned` says what to sign. */
export async function unregistered(name, how = {}) {
  const client = new Ours();
  return Object.assign(client, { unsigned: await client.call('create', { ...place(fresh()), name, ...how }) });
}
