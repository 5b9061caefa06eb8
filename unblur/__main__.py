"""`python -m unblur` is `unblur`."""

import sys

from unblur.app.cli import main

sys.exit(main())
