"""Needs a package that is not there."""

import shapely_that_nobody_has
