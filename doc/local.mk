# SPDX-License-Identifier: BSD-3-Clause
# Man pages, made from belay.h and from the commands' --help, and by 'make html' the whole manual as HTML.
dist_doc_DATA = doc/configuration.md doc/consistency.md doc/design.md doc/failover.md doc/fortran.md \
    doc/guide.md doc/launch.md doc/performance.md
manual = $(srcdir)/doc/manual
CLEANFILES += doc/man.stamp

if MAKE_MANUAL
noinst_DATA = doc/man.stamp
endif

doc/man.stamp: include/belay.h doc/manual/pages.pl mpi-launch/belay-run belay$(EXEEXT)
	$(AM_V_GEN)rm -rf doc/man && $(MKDIR_P) doc/man && \
	$(PERL) $(manual)/pages.pl calls $(srcdir)/include/belay.h doc/man && \
	$(PERL) $(manual)/pages.pl commands doc/man ./belay $(srcdir)/mpi-launch/belay-run && touch $@

html-local: doc/man.stamp
	$(manual)/html $(srcdir) doc/man doc/html

# Which pages there are is known once they are made. The module file is named by its version, as module commands want it.
modulefiledir = $(datadir)/modulefiles/belay
install-data-local: $(noinst_DATA)
	$(MKDIR_P) "$(DESTDIR)$(modulefiledir)"
	$(INSTALL_DATA) mpi-launch/modulefile "$(DESTDIR)$(modulefiledir)/$(PACKAGE_VERSION)"
	for section in 1 3; do \
	    for page in doc/man/*.$$section; do \
	        test -e $$page || continue; \
	        $(MKDIR_P) "$(DESTDIR)$(mandir)/man$$section" && \
	        $(INSTALL_DATA) $$page "$(DESTDIR)$(mandir)/man$$section" || exit; \
	    done; \
	done

uninstall-local:
	rm -f "$(DESTDIR)$(modulefiledir)/$(PACKAGE_VERSION)"
	rm -f "$(DESTDIR)$(mandir)"/man1/belay.1 "$(DESTDIR)$(mandir)"/man1/belay-*.1
	rm -f "$(DESTDIR)$(mandir)"/man3/belay.3 "$(DESTDIR)$(mandir)"/man3/belay_*.3

mostlyclean-local:
	rm -rf doc/man doc/html
