/** All gradient rules: importing this file registers them. */

import "./arithmetic.ts";
import "./linear.ts";
import "./reduction.ts";
import "./activation.ts";
import "./elementwise.ts";
import "./rectifier.ts";
import "./convolution.ts";
import "./pooling.ts";
import "./normalization.ts";
import "./resize.ts";
import "./pad.ts";
import "./depth_space.ts";
import "./layout.ts";
import "./indexing.ts";
import "./einsum.ts";
