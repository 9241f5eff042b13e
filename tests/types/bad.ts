// The gate is tried itself: each of these is wrong, and `tsc` fails where it does not see that.
import type { AnyBlock } from "@slack/types";
import type { ChatPostMessageArguments } from "@slack/web-api";

// @ts-expect-error -- a block that does not exist
export const unknownBlock: AnyBlock = { type: "headline", text: { type: "plain_text", text: "a" } };
// @ts-expect-error -- markdown in a header
export const markdownHeader: AnyBlock = { type: "header", text: { type: "mrkdwn", text: "a" } };
// @ts-expect-error -- a key that is misspelt
export const misspelt: AnyBlock = { type: "section", txt: { type: "mrkdwn", text: "a" } };
// @ts-expect-error -- a button of a style that there is not
export const style: AnyBlock = { type: "actions", elements: [{ type: "button", text: { type: "plain_text", text: "a" }, style: "warning" }] };
// @ts-expect-error -- a broadcast without a thread
export const broadcast: ChatPostMessageArguments = { channel: "C1", text: "a", reply_broadcast: true };
// @ts-expect-error -- a message to nobody
export const nowhere: ChatPostMessageArguments = { text: "a" };
