/** Captions of pictures and species. */

export {
  type Attribute,
  attributeCaption,
  ATTRIBUTES,
  describe,
  type DescribeOptions,
  fillTemplate,
  nameCaption,
  PLAIN_TEMPLATE,
  PROMPT_TEMPLATES,
  sizeWord,
  weightWord,
} from "./describe.ts";
export { type CaptionOptions, pictureCaption } from "./picture_caption.ts";
export { type StyleWords, styleWords } from "./style_words.ts";
