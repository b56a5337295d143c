/** All gradient rules: importing this file registers them. */

import "./arithmetic.ts";
import "./linear.ts";
import "./reduction.ts";
import "./activation.ts";
import "./elementwise.ts";
