// A test of the check itself: `tsc` fails if it accepts one of these.
import type { Dashboard } from "@grafana/schema";
import type { AnyBlock } from "@slack/types";
import type { ChatPostMessageArguments } from "@slack/web-api";
import type { Plain } from "./plain.js";

// @ts-expect-error -- a block that does not exist
export const unknownBlock: AnyBlock = { type: "headline", text: { type: "plain_text", text: "a" } };
// @ts-expect-error -- markdown in a header
export const markdownHeader: AnyBlock = { type: "header", text: { type: "mrkdwn", text: "a" } };
// @ts-expect-error -- a misspelled key
export const misspelt: AnyBlock = { type: "section", txt: { type: "mrkdwn", text: "a" } };
// @ts-expect-error -- an unknown button style
export const style: AnyBlock = { type: "actions", elements: [{ type: "button", text: { type: "plain_text", text: "a" }, style: "warning" }] };
// @ts-expect-error -- a broadcast without a thread
export const broadcast: ChatPostMessageArguments = { channel: "C1", text: "a", reply_broadcast: true };
// @ts-expect-error -- a message without a channel
export const nowhere: ChatPostMessageArguments = { text: "a" };
// @ts-expect-error -- an unknown colour mode of a panel
export const rainbow: Plain<Dashboard> = { schemaVersion: 39, panels: [{ type: "stat", fieldConfig: { defaults: { color: { mode: "rainbow" } }, overrides: [] } }] };
// @ts-expect-error -- a panel without a type
export const shapeless: Plain<Dashboard> = { schemaVersion: 39, panels: [{ title: "Spread" }] };
