/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "cluster/settings.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER                                                                                               \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                           \
    "<beans xmlns=\"http://www.springframework.org/schema/beans\"\n"                                         \
    "       xmlns:util=\"http://www.springframework.org/schema/util\"\n"                                     \
    "       xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"\n"                                       \
    "       xsi:schemaLocation=\"http://www.springframework.org/schema/beans\n"                              \
    "                           http://www.springframework.org/schema/beans/spring-beans.xsd\">\n"
#define NODE       "<bean class=\"org.apache.ignite.configuration.IgniteConfiguration\">"
#define CACHES     "<property name=\"cacheConfiguration\">"
#define CACHE      "<bean class=\"org.apache.ignite.configuration.CacheConfiguration\">"
#define SET(n, v)  "<property name=\"" n "\" value=\"" v "\"/>"
#define END_CACHE  "</bean>"
#define END_CACHES "</property>"
#define END_NODE   "</bean>"

/* One cache whose bean has this in it, in line 1. */
#define ONE_CACHE(inside) NODE CACHES CACHE inside END_CACHE END_CACHES END_NODE

/* The same in many lines. */
#define IN_CACHE(inside) NODE "\n" CACHES "\n" CACHE "\n" inside "\n" END_CACHE END_CACHES END_NODE

static int quiet(void **state)
{
    (void)state;
    setenv("BELAY_LOG", "off", 1);
    return log_init(-1), 0;
}

static settings_file *parse(const char *xml)
{
    settings_file *file = NULL;
    if (settings_file_parse("job.xml", xml, strlen(xml), &file))
        fail_msg("%s", log_last_error());
    return file;
}

static struct cache_settings cache_of(const settings_file *file, const char *name)
{
    struct cache_settings settings;
    assert_int_equal(settings_resolve_cache(&(belay_cache_config){.name = name}, file, &settings), BELAY_OK);
    assert_int_equal(settings_check_cache(&settings), BELAY_OK);
    return settings;
}

static struct cache_settings only_cache(const char *xml)
{
    settings_file *file = parse(xml);
    assert_int_equal(settings_file_cache_count(file), 1);
    const struct cache_settings settings = cache_of(file, settings_file_cache_name(file, 0));
    settings_file_free(file);
    return settings;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void assert_refused(int code, const char *xml, size_t length, const char *const parts[])
{
    settings_file *file = NULL;
    log_clear_error();
    assert_int_equal(settings_file_parse("job.xml", xml, length, &file), code);
    assert_null(file);
    for (; *parts; ++parts)
        assert_contains(log_last_error(), *parts);
}

#define REFUSED(xml, ...)                                                                                    \
    assert_refused(BELAY_ERR_CONFIG, xml, strlen(xml), (const char *const[]){"job.xml:", __VA_ARGS__, NULL})

/* ---- What is understood -------------------------------------------------------------------------------------- */

/* What the page on partition backups of Apache Ignite has people write. */
static void backups_as_for_ignite(void **state)
{
    (void)state;
    const struct cache_settings settings = only_cache(
        HEADER "    " NODE "\n"
               "        " CACHES "\n"
               "            " CACHE "\n"
               "                <!-- a name -->\n"
               "                <property name=\"name\" value=\"cacheName\"/>\n"
               "                <!-- how it is spread -->\n"
               "                <property name=\"cacheMode\" value=\"PARTITIONED\"/>\n"
               "                <!-- copies -->\n"
               "                <property name=\"backups\" value=\"1\"/>\n"
               "\n"
               "                <property name=\"writeSynchronizationMode\" value=\"FULL_SYNC\"/>\n"
               "            </bean>\n"
               "        </property>\n"
               "    </bean>\n"
               "</beans>\n");
    assert_string_equal(settings.name, "cacheName");
    assert_int_equal(settings.cache_mode, BELAY_CACHE_PARTITIONED);
    assert_int_equal(settings.backups, 1);
    assert_int_equal(settings.write_synchronization_mode, BELAY_FULL_SYNC);
    assert_int_equal(settings.origins[CACHE_BACKUPS].source, SETTINGS_FILE);
    assert_int_equal(settings.origins[CACHE_BACKUPS].line, 15);
    assert_int_equal(settings.origins[CACHE_BACKUPS].column, 17);
}

/* The two XML examples of that page and their C equivalents are one and the same. */
static void the_same_in_c(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        belay_cache_config config;
    } examples[] = {
        {ONE_CACHE(SET("name", "cacheName") SET("cacheMode", "PARTITIONED") SET("backups", "1")),
         {.name = "cacheName", .cache_mode = BELAY_CACHE_PARTITIONED, .backups = 1}},
        {ONE_CACHE(SET("name", "cacheName") SET("backups", "1") SET("writeSynchronizationMode", "FULL_SYNC")),
         {.name = "cacheName", .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC}},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; ++i) {
        const struct cache_settings by_file = only_cache(examples[i].xml);
        struct cache_settings by_struct;
        struct settings_difference difference;
        assert_int_equal(settings_resolve_cache(&examples[i].config, NULL, &by_struct), BELAY_OK);
        if (settings_compare_cache(&by_file, &by_struct, &difference))
            fail_msg("%s: %s, %s", difference.field, difference.left, difference.right);
    }
}

/* The same page in its older form: dots for what is left out, tabs, no sheet around it. */
static void dots_for_what_is_left_out(void **state)
{
    (void)state;
    const struct cache_settings settings = only_cache(
        NODE "\n  \t...\n    " CACHES "\n        " CACHE "\n"
             "\t\t" SET("name", "cacheName") "\n"
                                             "\t\t" SET("cacheMode",
                                                        "PARTITIONED") "\n"
                                                                       "\t\t" SET("backups",
                                                                                  "1") "\n\t\t... \n"
                                                                                       "        " END_CACHE
                                                                                       "\n    " END_CACHES
                                                                                       "\n" END_NODE);
    assert_string_equal(settings.name, "cacheName");
    assert_int_equal(settings.backups, 1);
    REFUSED(NODE CACHES "..." END_CACHES END_NODE, "text in property cacheConfiguration");
    REFUSED(IN_CACHE("<property name=\"backups\">...</property>"), "text in a cache's <property>");
}

static void every_property_of_a_cache(void **state)
{
    (void)state;
    const struct cache_settings settings = only_cache(ONE_CACHE(
        SET("name", "all") SET("cacheMode", "REPLICATED") SET("backups", "15")
            SET("writeSynchronizationMode", "PRIMARY_SYNC") SET("atomicityMode", "TRANSACTIONAL")
                SET("partitionLossPolicy", "READ_WRITE_SAFE") SET("partitions", "65536")
                    SET("expiryPolicy", "created") SET("timeToLiveMs", "90s") SET("evictionPolicy", "FIFO")));
    assert_int_equal(settings.cache_mode, BELAY_CACHE_REPLICATED);
    assert_int_equal(settings.backups, 15);
    assert_int_equal(settings.write_synchronization_mode, BELAY_PRIMARY_SYNC);
    assert_int_equal(settings.atomicity_mode, BELAY_TRANSACTIONAL);
    assert_int_equal(settings.partition_loss_policy, BELAY_LOSS_READ_WRITE_SAFE);
    assert_int_equal(settings.partitions, 65536);
    assert_int_equal(settings.expiry_policy, BELAY_EXPIRY_CREATED);
    assert_int_equal(settings.time_to_live_ms, 90000);
    assert_int_equal(settings.eviction_policy, BELAY_EVICTION_FIFO);
}

static void a_single_bean_is_a_document(void **state)
{
    (void)state;
    const struct cache_settings settings = only_cache(
        "<bean id=\"job\" xmlns=\"http://www.springframework.org/schema/beans\" "
        "class=\"org.apache.ignite.configuration.IgniteConfiguration\">" CACHES CACHE SET("name", "alone")
            END_CACHE END_CACHES END_NODE);
    assert_string_equal(settings.name, "alone");
}

static void lists_of_caches(void **state)
{
    (void)state;
    static const char *const elements[] = {"list", "array", "set"};
    for (size_t i = 0; i < 3; ++i) {
        char xml[2048];
        snprintf(xml, sizeof xml, "<beans>" NODE CACHES "<%s>%s%s</%s>" END_CACHES END_NODE "</beans>",
                 elements[i], CACHE SET("name", "a") SET("backups", "1") END_CACHE,
                 CACHE SET("backups", "2") SET("name", "b") END_CACHE, elements[i]);
        settings_file *file = parse(xml);
        assert_int_equal(settings_file_cache_count(file), 2);
        assert_string_equal(settings_file_cache_name(file, 0), "a");
        assert_string_equal(settings_file_cache_name(file, 1), "b");
        assert_int_equal(cache_of(file, "a").backups, 1);
        assert_int_equal(cache_of(file, "b").backups, 2);
        assert_int_equal(cache_of(file, "c").backups, 0);
        settings_file_free(file);
    }
    settings_file *file = parse(NODE CACHES "<list/>" END_CACHES END_NODE);
    assert_int_equal(settings_file_cache_count(file), 0);
    settings_file_free(file);
}

static void values_as_elements_and_escapes(void **state)
{
    (void)state;
    const struct cache_settings settings = only_cache(ONE_CACHE(
        "<property name=\"name\"><value>\n  a&amp;b&#x20;&lt;&#233;&gt;<![CDATA[<c>]]>\n</value></property>"
        "<property name=\"backups\"> <!-- two --> <value><!-- 1 -->2</value></property>"
        "<property name=\"cacheMode\" value=\"&#x52;eplicate&#100;\"/>"));
    assert_string_equal(settings.name, "a&b <\xc3\xa9><c>");
    assert_int_equal(settings.backups, 2);
    assert_int_equal(settings.cache_mode, BELAY_CACHE_REPLICATED);
}

static void other_encodings(void **state)
{
    (void)state;
    const struct cache_settings settings = only_cache(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" ONE_CACHE(SET("name", "\xe9")));
    assert_string_equal(settings.name, "\xc3\xa9");
}

static void many_caches_up_to_the_limit(void **state)
{
    (void)state;
    char *xml;
    size_t size;
    for (unsigned count = BELAY_CACHES_MAX; count <= BELAY_CACHES_MAX + 1; ++count) {
        FILE *stream = open_memstream(&xml, &size);
        fprintf(stream, NODE CACHES "<list>");
        for (unsigned i = 0; i < count; ++i)
            fprintf(stream, CACHE SET("name", "cache%u") END_CACHE, i);
        fprintf(stream, "</list>" END_CACHES END_NODE);
        fclose(stream);
        if (count == BELAY_CACHES_MAX) {
            settings_file *file = parse(xml);
            assert_int_equal(settings_file_cache_count(file), BELAY_CACHES_MAX);
            settings_file_free(file);
        } else {
            REFUSED(xml, "too many caches; allowed: 64");
        }
        free(xml);
    }
}

/* ---- What is refused ----------------------------------------------------------------------------------------- */

static void unknown_names_list_what_is_allowed(void **state)
{
    (void)state;
    REFUSED("<config/>", "job.xml:1:1: ", "unknown element <config>", "allowed: <beans>, <bean>");
    REFUSED("<beans>\n<import/></beans>", "job.xml:2:1: ", "unknown element <import> in <beans>",
            "allowed: <bean>");
    REFUSED(NODE "\n <list/>" END_NODE, "job.xml:2:2: ", "unknown element <list> in a node's <bean>",
            "allowed: <property>");
    REFUSED(NODE CACHES "<map/>" END_CACHES END_NODE, "unknown element <map>",
            "allowed: <bean>, <list>, <array>, <set>");
    REFUSED(NODE CACHES "<list><list/></list>" END_CACHES END_NODE,
            "unknown element <list> in the list of caches", "allowed: <bean>");
    REFUSED(IN_CACHE("<property name=\"name\"><null/></property>"),
            "job.xml:4:23: ", "unknown element <null>", "allowed: <value>");
    REFUSED(IN_CACHE("<property name=\"name\"><value><b/></value></property>"),
            "unknown element <b> in <value>", "allowed: text");
    REFUSED(NODE "\n\n  " SET("discovery", "x") END_NODE, "job.xml:3:3: ", "unknown property \"discovery\"",
            "allowed: role, transport, progress, arenaSize, segmentSize, operationTimeoutMs, "
            "failureTimeoutMs, progressCore, device, joinRoom, addressFile, "
            "cacheConfiguration");
    REFUSED(NODE SET("config_file", "x") END_NODE, "unknown property \"config_file\"");
    REFUSED(
        IN_CACHE(SET("rebalance", "SYNC")), "job.xml:4:1: ", "unknown property \"rebalance\"",
        "allowed: name, cacheMode, backups, writeSynchronizationMode, atomicityMode, partitionLossPolicy, "
        "partitions, readFromBackup, nearCacheSize, expiryPolicy, timeToLiveMs, evictionPolicy");
    REFUSED("<bean class=\"Cache\"/>", "job.xml:1:1: ", "class \"Cache\"",
            "allowed: org.apache.ignite.configuration.IgniteConfiguration");
    REFUSED("<bean/>", "class \"\"", "allowed: org.apache.ignite.configuration.IgniteConfiguration");
    REFUSED(NODE CACHES "\n<bean class=\"Node\"/>" END_CACHES END_NODE, "job.xml:2:1: ", "class \"Node\"",
            "allowed: org.apache.ignite.configuration.CacheConfiguration");
    REFUSED(IN_CACHE("<property name=\"backups\" ref=\"b\"/>"),
            "job.xml:4:1: ", "unknown attribute \"ref\" of <property>", "allowed: name, value");
    REFUSED("<beans profile=\"x\"/>", "unknown attribute \"profile\" of <beans>", "allowed: none");
    REFUSED("<beans><bean xmlns=\"x\"/></beans>", "unknown attribute \"xmlns\" of <bean>",
            "allowed: class, id");
    REFUSED(IN_CACHE("<property/>"), "job.xml:4:1: ", "<property> needs a name");
}

static void properties_of_ignite_alone_have_advice(void **state)
{
    (void)state;
    REFUSED(NODE "\n<property name=\"discoverySpi\"><bean class=\"TcpDiscoverySpi\"/></property>" END_NODE,
            "job.xml:2:1: property \"discoverySpi\" is Apache Ignite's alone", "find each other by MPI");
    REFUSED(IN_CACHE(SET("rebalanceMode", "SYNC")), "job.xml:4:1: property \"rebalanceMode\"",
            "behind the writes");
}

static void bad_values_have_place_and_allowed_values(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *property, *value, *why, *allowed;
    } bad[] = {
        {BELAY_ERR_CONFIG, "name", "", "is empty", "1 to 63 printable characters"},
        {BELAY_ERR_CONFIG, "cacheMode", "partition", "is unknown", "PARTITIONED, REPLICATED"},
        {BELAY_ERR_NOT_SUPPORTED, "cacheMode", "LOCAL", "not supported", "PARTITIONED, REPLICATED"},
        {BELAY_ERR_CONFIG, "backups", "-1", "is not a number", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "backups", "16", "is too large", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "backups", "", "is not a number", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "backups", "1 ", "is not a number", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "backups", "#{1 + 1}", "is not a number", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "writeSynchronizationMode", "ASYNC", "is unknown",
         "FULL_SYNC, PRIMARY_SYNC, FULL_ASYNC"},
        {BELAY_ERR_CONFIG, "atomicityMode", "atomics", "is unknown", "ATOMIC, TRANSACTIONAL"},
        {BELAY_ERR_CONFIG, "partitionLossPolicy", "SAFE", "is unknown",
         "IGNORE, READ_ONLY_SAFE, READ_WRITE_SAFE"},
        {BELAY_ERR_NOT_SUPPORTED, "partitionLossPolicy", "READ_ONLY_ALL", "not supported", "READ_ONLY_SAFE"},
        {BELAY_ERR_NOT_SUPPORTED, "partitionLossPolicy", "READ_WRITE_ALL", "not supported",
         "READ_WRITE_SAFE"},
        {BELAY_ERR_CONFIG, "partitions", "1000", "is not a power of two", "from 1 to 65536"},
        {BELAY_ERR_NOT_SUPPORTED, "evictionPolicy", "LRU", "not supported", "NONE, FIFO"},
        {BELAY_ERR_NOT_SUPPORTED, "expiryPolicy", "ACCESSED", "not supported", "MODIFIED, CREATED"},
        {BELAY_ERR_CONFIG, "timeToLiveMs", "4000000000s", "is too large", "never (0), or a time from 1ms"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        char xml[1024], shown[128];
        (void)state;
        snprintf(shown, sizeof shown, "job.xml:4:1: %s = \"%s\"", bad[i].property, bad[i].value);
        snprintf(xml, sizeof xml, IN_CACHE(SET("%s", "%s")), bad[i].property, bad[i].value);
        assert_refused(bad[i].code, xml, strlen(xml),
                       (const char *const[]){shown, bad[i].why, "allowed: ", bad[i].allowed, NULL});
    }
    REFUSED(NODE "\n" SET("segmentSize", "1K") END_NODE, "job.xml:2:1: segmentSize = \"1K\" is too small",
            "a power of two from 16K to 4M");
    REFUSED(IN_CACHE("<property name=\"backups\">\n<value>\n two </value></property>"),
            "backups = \"two\" is not a number");
}

static void long_values_are_clipped_in_messages(void **state)
{
    (void)state;
    char xml[8192], value[4096];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    snprintf(xml, sizeof xml, IN_CACHE(SET("name", "%s")), value);
    REFUSED(xml, "job.xml:4:1: name = \"vvvv", "vvv...\" is too long",
            "allowed: 1 to 63 printable characters");
    snprintf(xml, sizeof xml, IN_CACHE("<property name=\"name\"><value>%s</value></property>"), value);
    REFUSED(xml, "vvv...\" is too long", "allowed: 1 to 63 printable characters");
    snprintf(xml, sizeof xml, IN_CACHE(SET("%s", "1")), value);
    REFUSED(xml, "job.xml:4:1: unknown property \"vvvv", "vvv...\"", "allowed: name, cacheMode");
    snprintf(xml, sizeof xml, "<%s/>", value);
    REFUSED(xml, "job.xml:1:1: unknown element <vvvv", "vvv...>", "allowed: <beans>, <bean>");

    settings_file *file = NULL;
    value[3000] = '\0';
    assert_int_equal(settings_file_parse(value, "<a/>", 4, &file), BELAY_ERR_CONFIG);
    assert_contains(log_last_error(), ":1:1: unknown element <a> in the document; allowed: <beans>, <bean>");
}

static void nothing_is_there_twice(void **state)
{
    (void)state;
    REFUSED(IN_CACHE(SET("name", "a") "\n" SET("backups", "1") "\n" SET("backups", "1")),
            "job.xml:6:1: ", "property \"backups\" is there twice, first in line 5");
    REFUSED(NODE "\n" SET("role", "client") "\n" SET("role", "client") END_NODE,
            "job.xml:3:1: ", "property \"role\" is there twice, first in line 2");
    REFUSED(NODE CACHES "<list>" CACHE SET("name", "a") END_CACHE "\n" CACHE SET("name", "a") END_CACHE
            "</list>" END_CACHES END_NODE,
            "job.xml:2:", "cache name = \"a\" is there twice, first in line 1");
    REFUSED(NODE CACHES CACHE SET("name", "a") END_CACHE "\n" CACHE SET("name", "b")
                END_CACHE END_CACHES END_NODE,
            "job.xml:2:1: ", "has more than one value");
    REFUSED(NODE CACHES "<list/><set/>" END_CACHES END_NODE, "has more than one value");
    REFUSED(NODE CACHES CACHE SET("name", "a") END_CACHE "<list/>" END_CACHES END_NODE,
            "has more than one value");
    REFUSED(NODE CACHES "<list/>" END_CACHES CACHES "<list/>" END_CACHES END_NODE,
            "property cacheConfiguration is there twice");
    REFUSED("<beans>" NODE END_NODE "\n" NODE END_NODE "</beans>",
            "job.xml:2:1: ", "a second bean of class org.apache.ignite.configuration.IgniteConfiguration");
    REFUSED(IN_CACHE("<property name=\"backups\" value=\"1\"><value>1</value></property>"),
            "has more than one value");
    REFUSED(IN_CACHE("<property name=\"backups\"><value>1</value><value>1</value></property>"),
            "has more than one value");
}

static void nothing_is_missing(void **state)
{
    (void)state;
    REFUSED("<beans/>", "nothing is configured", "org.apache.ignite.configuration.IgniteConfiguration");
    REFUSED(IN_CACHE(SET("backups", "1")), "cache that starts in line 3, column 1 has no property \"name\"");
    REFUSED(IN_CACHE("<property name=\"backups\"/>"), "job.xml:4:", "property \"backups\" has no value");
    REFUSED(NODE "<property name=\"device\"></property>" END_NODE, "property \"device\" has no value");
    REFUSED(NODE "<property name=\"cacheConfiguration\"/>" END_NODE,
            "property \"cacheConfiguration\" has no value");
    REFUSED(NODE SET("cacheConfiguration", "x") END_NODE, "cacheConfiguration takes beans, not a value");
}

static void stray_text_is_refused(void **state)
{
    (void)state;
    REFUSED(IN_CACHE("backups=1"), "job.xml:4:1: ", "text in a cache's <bean>", "allowed: only in <value>");
    REFUSED(IN_CACHE("<property name=\"backups\">1</property>"), "text in a cache's <property>",
            "allowed: only in <value>");
}

static void document_types_and_entities_are_refused(void **state)
{
    (void)state;
    REFUSED(
        "<!DOCTYPE beans PUBLIC \"-//SPRING//DTD BEAN//EN\" \"http://www.springframework.org/dtd/s.dtd\">\n" ONE_CACHE(
            SET("name", "a")),
        "job.xml:1:", "DOCTYPE", "refused");
    REFUSED("<!DOCTYPE beans SYSTEM \"/etc/passwd\"><beans/>", "DOCTYPE", "refused");
    REFUSED("<!DOCTYPE beans [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>\n" ONE_CACHE(
                "<property name=\"name\"><value>&f;</value></property>"),
            "DOCTYPE", "refused");
    REFUSED("<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
            "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]>" ONE_CACHE(
                "<property name=\"name\"><value>&d;</value></property>"),
            "DOCTYPE", "refused");
    REFUSED("<!DOCTYPE b [<!ENTITY % p SYSTEM \"http://127.0.0.1/p\"> %p;]><beans/>", "DOCTYPE", "refused");
    REFUSED(ONE_CACHE(SET("name", "&f;")), "not well-formed", "undefined entity");
}

static void malformed_documents_are_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        " ",
        "<",
        "<beans>",
        "<beans></bean>",
        "<beans/><beans/>",
        "<beans/>x",
        "<beans a='1' a='2'/>",
        "<beans \xff='1'/>",
        "<?xml version=\"1.0\" encoding=\"EBCDIC\"?><beans/>",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; ++i)
        REFUSED(malformed[i], "not well-formed XML: ");
    assert_refused(BELAY_ERR_CONFIG, "\0\0\0\0", 4,
                   (const char *const[]){"job.xml:1:1: not well-formed", NULL});
    REFUSED(NODE "\n<property name=\"device\" value=\"a\"", "job.xml:2:", "not well-formed XML: ");
}

static void deep_and_large_documents_are_refused(void **state)
{
    (void)state;
    enum { DEPTH = 30000 };
    const size_t room = SETTINGS_FILE_MAX + 1;
    char *xml = calloc(1, room + 1);
    assert_non_null(xml);
    for (size_t i = 0; i < DEPTH; ++i)
        memcpy(xml + i * 7, "<beans>", 7);
    REFUSED(xml, "job.xml:1:8: unknown element <beans> in <beans>");

    /* Padded to the limit it is accepted; one byte more is too much. */
    const char *small = ONE_CACHE(SET("name", "a"));
    memset(xml, ' ', room);
    memcpy(xml, small, strlen(small));
    settings_file *file = NULL;
    assert_int_equal(settings_file_parse("job.xml", xml, room - 1, &file), BELAY_OK);
    settings_file_free(file);
    assert_refused(BELAY_ERR_CONFIG, xml, room,
                   (const char *const[]){"job.xml: larger than 1048576 bytes", NULL});
    free(xml);
}

/* ---- Files --------------------------------------------------------------------------------------------------- */

static void assert_not_loaded(const char *path, const char *why)
{
    settings_file *file = NULL;
    log_clear_error();
    assert_int_equal(settings_file_load(path, "environment variable BELAY_CONFIG_FILE", &file),
                     BELAY_ERR_CONFIG);
    assert_null(file);
    assert_contains(log_last_error(), "environment variable BELAY_CONFIG_FILE: ");
    assert_contains(log_last_error(), path);
    assert_contains(log_last_error(), why);
}

static void files_that_cannot_be_read_are_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    assert_not_loaded("/no/such/file.xml", strerror(ENOENT));
    assert_not_loaded("/dev", "not a regular file");
    assert_not_loaded("/dev/zero", "not a regular file");
    snprintf(path, sizeof path, "%s/test_settings_xml.pipe", folder ? folder : ".");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_not_loaded(path, "not a regular file"); /* and does not wait for a writer */
    unlink(path);
}

static void a_sparse_giant_is_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/test_settings_xml.giant", folder ? folder : ".");
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(ftruncate(fileno(stream), (off_t)1 << 40), 0);
    fclose(stream);
    settings_file *file = NULL;
    assert_int_equal(settings_file_load(path, "test", &file), BELAY_ERR_CONFIG);
    assert_contains(log_last_error(), "larger than 1048576 bytes");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup(function, quiet)
        TEST(backups_as_for_ignite),
        TEST(the_same_in_c),
        TEST(dots_for_what_is_left_out),
        TEST(every_property_of_a_cache),
        TEST(a_single_bean_is_a_document),
        TEST(lists_of_caches),
        TEST(values_as_elements_and_escapes),
        TEST(other_encodings),
        TEST(many_caches_up_to_the_limit),
        TEST(unknown_names_list_what_is_allowed),
        TEST(properties_of_ignite_alone_have_advice),
        TEST(bad_values_have_place_and_allowed_values),
        TEST(long_values_are_clipped_in_messages),
        TEST(nothing_is_there_twice),
        TEST(nothing_is_missing),
        TEST(stray_text_is_refused),
        TEST(document_types_and_entities_are_refused),
        TEST(malformed_documents_are_refused),
        TEST(deep_and_large_documents_are_refused),
        TEST(files_that_cannot_be_read_are_refused),
        TEST(a_sparse_giant_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
