"""`python -m dllm`."""

import sys

from dllm.cli.main import main

sys.exit(main())
