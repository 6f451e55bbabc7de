"""What gives our instructions or private values away: `askfit.leaks`, under the name that chats know it by."""

from __future__ import annotations

from askfit.leaks import Hidden as Hidden
from askfit.leaks import Watch as Watch
from askfit.leaks import first_sign as first_sign
from askfit.leaks import hidden_of as hidden_of
from askfit.leaks import shape as shape
