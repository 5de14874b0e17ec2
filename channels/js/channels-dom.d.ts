/**
 * Changes of a page as data: what the server sends by `Publish::dom`, `Conn::dom` and `Cx::dom` of `sansocket-channels`, and what it
 * has the page load by `Conn::load` and `Cx::load`.
 *
 * ```js
 * import { Socket } from "/channels.js";
 * import { mount } from "/channels-dom.js";
 * const list = new Socket("/socket").channel("list");
 * mount(list, document.getElementById("list"));
 * await list.join();
 * ```
 *
 * It needs no more than the policy `script-src 'self'; style-src 'self'; require-trusted-types-for 'script'`, and the server can make no
 * script run by it, but those that it may have loaded. These are carried out, in order; all else is skipped, and counted:
 *
 * - `append`, `update` and `remove` of elements below the one that was given, by their ids. To that one itself is only appended.
 * - Elements of HTML that show something: no `script`, `style`, `link`, `meta`, `base`, `iframe`, `object`, `embed`, `template`, and
 *   none of SVG or MathML. Those of the page's own that are others are not changed, either.
 * - Attributes that run nothing: no `on*`, `style`, `is`, `srcdoc`, `srcset`, `ping`, and none that reaches out of the element by an
 *   id, as `form*`, `for`, `list` and `popovertarget` do. `aria-*` and `data-*` are taken: what scripts of the page make of them is
 *   their own. `name` is taken for the controls of forms only, since others would hide something of `document`; `rel` without `opener`.
 * - URLs (`href`, `src`, `action`, `cite`, `poster`) that the browser reads as `http`, `https` or `mailto`, or as relative to the page.
 * - Text by `textContent`; styles by `style.setProperty`, if their values fetch nothing: no `url()`, no `image-set()`, no backslash.
 * - HTML by the browser's own `setHTML`, if it has that; of what comes of it no more stays than could be made by elements, and no ids.
 * - At most 32 elements in one another below `root`, those included that were there before; but HTML may be as deep as the browser
 *   makes it, since nothing is appended to what is in it.
 * - Ids that the page has not. An id is a global name of the page, as in any HTML.
 *
 * What is fixed in place by a style may cover the rest of the page: where that matters, give the element the style `contain: paint`.
 */

import type { Channel } from "./channels.js";

/**
 * Carries out what comes on the channel, below `root`. Do it before the channel is joined, and once for a channel.
 *
 * @param root An element of HTML. Its id is what the server appends to.
 */
export function mount(channel: Channel, root: HTMLElement, options?: MountOptions): Mounted;

export interface MountOptions {
  /**
   * From where modules and style sheets (URLs whose path ends in `.css`) may be loaded: an origin; a folder, which ends with `/`; or
   * one file. By default the page's own origin; `[]` is nothing. No path may have an escaped slash or backslash. Whatever is loaded
   * may do anything, and what answers may redirect: the page's content security policy has the last word.
   */
  allow?: (string | URL)[];
  /** How many elements may be below `root`: 10000. More are skipped. */
  limit?: number;
  /** Tags of custom elements that may be made. What they do with attributes and text is their own. */
  elements?: string[];
  /**
   * Told of each thing that is skipped, for the console or a test. `why`: `id` (unknown, or there already), `tag`, `attribute`, `url`,
   * `style`, `class`, `text`, `html` (the browser has no `setHTML`), `field`, `op`, `depth`, `limit`, or `form`: it is no op at all.
   */
  onSkip?: (why: string, what: unknown) => void;
}

export interface Mounted {
  readonly root: HTMLElement;
  /** How much was skipped so far. */
  readonly skipped: number;
  /** Carries out no more. What was made stays, and what was loaded, too. */
  remove(): void;
}
