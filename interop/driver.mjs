// The official client behind our driver's protocol: `SUBROSA_DRIVER=driver.mjs node together.mjs` checks the scenarios
// themselves, since then both sides are the reference.
import { createInterface } from 'node:readline';
import path from 'node:path';
import { client, epochAuthenticator, members, stored, wallet, xmtp } from './lib.mjs';

let c;
const conv = (group) => c.conversations().getConversationById(group);

const operations = {
  async create({ wallet_key, path: file, db_key }) {
    c = await client(wallet(`0x${wallet_key}`), { db: path.basename(file, '.db3'), key: Buffer.from(db_key, 'hex') });
    return { inbox: c.inboxId(), installation: c.installationId() };
  },
  create_group: async ({ inboxes, name }) => ({ group: (await c.conversations().createGroup(inboxes, { groupName: name })).id() }),
  create_dm: async ({ inbox }) => ({ group: (await c.conversations().createDm(inbox)).id() }),
  add: ({ group, inboxes }) => conv(group).addMembers(inboxes),
  remove: ({ group, inboxes }) => conv(group).removeMembers(inboxes),
  set_name: ({ group, name }) => conv(group).updateGroupName(name),
  add_admin: ({ group, inbox }) => conv(group).addAdmin(inbox),
  remove_admin: ({ group, inbox }) => conv(group).removeAdmin(inbox),
  add_super_admin: ({ group, inbox }) => conv(group).addSuperAdmin(inbox),
  remove_super_admin: ({ group, inbox }) => conv(group).removeSuperAdmin(inbox),
  send: async ({ group, text, queued }) => ({ message: await conv(group).sendText(text, queued ?? false) }),
  publish: ({ group }) => conv(group).publishMessages(),
  async sync({ group }) {
    await c.conversations().sync();
    if (group) await conv(group).sync();
  },
  sync_all: async () => { await c.conversations().syncAll(); },
  texts: ({ group }) => stored(conv(group)),
  async info({ group }) {
    const g = conv(group);
    const messages = (await g.listEnrichedMessages()).filter((m) => m.content.type === 'Text');
    const { epoch, localCommitLog } = await g.debugInfo();
    return {
      epoch: Number(epoch), authenticator: epochAuthenticator(localCommitLog), members: await members(g), name: g.groupName(),
      admins: g.listAdmins(), super_admins: g.listSuperAdmins(), active: g.isActive(),
      messages: messages.map((m) => ({ id: m.id, text: m.content.text, sender: m.senderInboxId })),
    };
  },
  list: async () => Promise.all(c.conversations().list().map(async ({ conversation }) => ({
    group: conversation.id(),
    kind: (await conversation.groupMetadata()).conversationType() === xmtp.ConversationType.Dm ? 'dm' : 'group',
  }))),
  exit: () => setImmediate(() => process.exit(0)) && null,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...fields } = JSON.parse(line);
  // Started in order, answered when done.
  Promise.resolve().then(() => operations[op](fields))
    .then((value) => ({ id, ok: value ?? null }), (e) => ({ id, error: String(e?.message ?? e) }))
    .then((answer) => process.stdout.write(JSON.stringify(answer) + '\n'));
}
process.exit(0);
