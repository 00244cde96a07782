# SPDX-License-Identifier: BSD-3-Clause
# Targets in the form of libFuzzer, with a driver that needs no more than a C compiler.
EXTRA_DIST += tests/fuzz/settings_xml

check_PROGRAMS += tests/fuzz/fuzz_settings_xml
tests_fuzz_fuzz_settings_xml_SOURCES = tests/fuzz/fuzz_settings_xml.c tests/fuzz/driver.c tests/support/random.h
tests_fuzz_fuzz_settings_xml_LDADD = $(INTERNAL_LIBS)
