# SPDX-License-Identifier: BSD-3-Clause
libbelay_la_SOURCES += src/fabric/fabric.h

# The sources of the verbs transport. What a release contains does not depend on HAVE_VERBS.
if HAVE_VERBS
libbelay_la_SOURCES +=
endif
