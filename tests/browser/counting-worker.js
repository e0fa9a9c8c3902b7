// The worker of the webnn lane, whose graphs are counted. Knows where it lies; must never know what it does.

import './counting.js';
import '../pkg/webnn/worker.js';
