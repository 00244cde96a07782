/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file: the part of Apache Ignite's Spring XML that Belay has a meaning for.
 *
 *   <beans>                                                           (or the bean below alone)
 *     <bean class="org.apache.ignite.configuration.IgniteConfiguration">
 *       <property name="segmentSize" value="64K"/>                    Belay's own settings of a node
 *       <property name="cacheConfiguration">
 *         <list>                                                      (or array, set, or one bean alone)
 *           <bean class="org.apache.ignite.configuration.CacheConfiguration">
 *             <property name="name"><value>fields</value></property>  (or value="fields")
 *
 * The grammar is the table of rules below: what is not in it is an error that lists what is. It does not recurse, so
 * no document nests deeper than it does. Document types are refused, and with them all entities but XML's own five.
 * The "..." by which examples in Ignite's documentation leave something out of a bean is passed over.
 * Reading stops at the first error, which is logged with its place.
 */
#include "base/log.h"
#include "cluster/settings_file.h"
#include "cluster/settings_value.h"

#include <expat.h>
#include <stdarg.h>
#include <string.h>

#define NODE_CLASS      "org.apache.ignite.configuration.IgniteConfiguration"
#define CACHE_CLASS     "org.apache.ignite.configuration.CacheConfiguration"
#define CACHES_PROPERTY "cacheConfiguration"

/* Inside which element the reader is. */
enum place {
    DOCUMENT,
    BEANS,
    NODE_BEAN,
    NODE_PROPERTY,
    CACHES,
    CACHE_LIST,
    CACHE_BEAN,
    CACHE_PROPERTY,
    VALUE,
    PLACES
};

static const char *const place_names[PLACES] = {
    [DOCUMENT] = "the document",
    [BEANS] = "<beans>",
    [NODE_BEAN] = "a node's <bean>",
    [NODE_PROPERTY] = "a node's <property>",
    [CACHES] = "property cacheConfiguration",
    [CACHE_LIST] = "the list of caches",
    [CACHE_BEAN] = "a cache's <bean>",
    [CACHE_PROPERTY] = "a cache's <property>",
    [VALUE] = "<value>",
};

enum { VALUE_MAX = SETTINGS_PATH_MAX, QUOTED = 64, ATTRIBUTES = 2 };

struct reader {
    XML_Parser parser;
    settings_file *file;
    int result;                      /* the first error; nothing is done after it */
    enum place places[PLACES];       /* the open elements; places[0] is the document */
    size_t depth;                    /* index of the innermost */
    bool node_read, caches_read;     /* there may be one of each */
    bool filled;                     /* the open property has what it holds */
    uint32_t bean_line, bean_column; /* where the open cache's bean starts */
    const struct setting *setting;   /* of the open property */
    char value[VALUE_MAX + 2]; /* text in <value>, so far; one more than allowed shows that there is more */
    size_t value_length;
};

/* ---- Errors -------------------------------------------------------------------------------------------------- */

static uint32_t line_of(const struct reader *reader)
{
    return (uint32_t)XML_GetCurrentLineNumber(reader->parser);
}

static uint32_t column_of(const struct reader *reader)
{
    return (uint32_t)XML_GetCurrentColumnNumber(reader->parser) + 1;
}

static void format_where(const struct reader *reader, char where[SETTINGS_PLACE_SIZE])
{
    settings_format_place(reader->file->path, line_of(reader), column_of(reader), where);
}

static void stop(struct reader *reader, int result)
{
    reader->result = result;
    XML_StopParser(reader->parser, XML_FALSE);
}

static void complain(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct reader *reader, const char *format, ...)
{
    char where[SETTINGS_PLACE_SIZE], message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    format_where(reader, where);
    stop(reader, log_error(BELAY_ERR_CONFIG, "%s: %s", where, message));
}

struct list {
    char text[256];
};

static void list_add(struct list *list, const char *before, const char *item, const char *after)
{
    size_t length = strlen(list->text);
    snprintf(list->text + length, sizeof list->text - length, "%s%s%s%s", length ? ", " : "", before, item,
             after);
}

/* ---- Settings ------------------------------------------------------------------------------------------------ */

static const struct settings_table *table_of(enum place property)
{
    return property == NODE_PROPERTY ? &settings_node_table : &settings_cache_table;
}

/* Where the values of the open bean go. */
static void *settings_of(struct reader *reader, enum place property)
{
    return property == NODE_PROPERTY ? (void *)&reader->file->node
                                     : (void *)&reader->file->caches[reader->file->cache_count];
}

static void set_value(struct reader *reader, enum place property, const char *text)
{
    const struct settings_table *table = table_of(property);
    const size_t index = (size_t)(reader->setting - table->settings);
    const struct settings_origin origin = {SETTINGS_FILE, line_of(reader), column_of(reader)};
    struct setting_value value;
    enum setting_problem problem = setting_parse(reader->setting, text, &value);
    if (problem) {
        char where[SETTINGS_PLACE_SIZE];
        format_where(reader, where);
        stop(reader, setting_refuse(reader->setting, problem, where, reader->setting->property, text));
        return;
    }
    setting_store(reader->setting, &value, settings_of(reader, property));
    settings_set_origin(table, index, &origin, settings_of(reader, property));
    reader->filled = true;
}

static void complain_unknown_property(struct reader *reader, const struct settings_table *table,
                                      const char *name)
{
    struct list allowed = {""};
    char quoted[QUOTED];
    setting_quote(name, quoted, sizeof quoted);
    for (size_t i = 0; i < table->count; ++i)
        if (table->settings[i].property)
            list_add(&allowed, "", table->settings[i].property, "");
    if (table == &settings_node_table)
        list_add(&allowed, "", CACHES_PROPERTY, "");
    const char *advice = settings_table_advice(name);
    if (advice)
        complain(reader, "property \"%s\" is Apache Ignite's alone; remove it: %s", quoted, advice);
    else
        complain(reader, "unknown property \"%s\"; allowed: %s", quoted, allowed.text);
}

/* Find the setting that the property is for, and that it was not set before. */
static bool choose_setting(struct reader *reader, enum place property, const char *name)
{
    const struct settings_table *table = table_of(property);
    reader->setting = settings_table_find(table, name);
    if (!reader->setting) {
        complain_unknown_property(reader, table, name);
        return false;
    }
    const struct settings_origin *earlier = &settings_origins(
        table, settings_of(reader, property))[reader->setting - table->settings];
    if (earlier->source) {
        complain(reader, "property \"%s\" is there twice, first in line %u", name, earlier->line);
        return false;
    }
    return true;
}

/* ---- Elements begin: each gets the values of the attributes its rule names, NULL for those absent -------------- */

static void enter(struct reader *reader, enum place place)
{
    reader->places[++reader->depth] = place;
}

static bool check_class(struct reader *reader, const char *class, const char *wanted)
{
    char quoted[QUOTED];
    if (class && strcmp(class, wanted) == 0)
        return true;
    setting_quote(class ? class : "", quoted, sizeof quoted);
    complain(reader, "class \"%s\" is not known here; allowed: %s", quoted, wanted);
    return false;
}

static void begin_beans(struct reader *reader, const char *const values[ATTRIBUTES])
{
    (void)values;
    enter(reader, BEANS);
}

static void begin_node_bean(struct reader *reader, const char *const values[ATTRIBUTES])
{
    if (!check_class(reader, values[0], NODE_CLASS))
        return;
    if (reader->node_read) {
        complain(reader, "a second bean of class " NODE_CLASS "; allowed: one");
        return;
    }
    reader->node_read = true;
    enter(reader, NODE_BEAN);
}

static void begin_property(struct reader *reader, enum place property, const char *const values[ATTRIBUTES])
{
    if (!values[0]) {
        complain(reader, "<property> needs a name");
        return;
    }
    if (!choose_setting(reader, property, values[0]))
        return;
    reader->filled = false;
    enter(reader, property);
    if (values[1])
        set_value(reader, property, values[1]);
}

static void begin_caches(struct reader *reader, const char *value)
{
    if (value)
        complain(reader, "property " CACHES_PROPERTY " takes beans, not a value");
    else if (reader->caches_read)
        complain(reader, "property " CACHES_PROPERTY " is there twice");
    else
        enter(reader, CACHES);
    reader->caches_read = true;
    reader->filled = false;
}

static void begin_node_property(struct reader *reader, const char *const values[ATTRIBUTES])
{
    if (values[0] && strcmp(values[0], CACHES_PROPERTY) == 0)
        begin_caches(reader, values[1]);
    else
        begin_property(reader, NODE_PROPERTY, values);
}

static void begin_cache_property(struct reader *reader, const char *const values[ATTRIBUTES])
{
    begin_property(reader, CACHE_PROPERTY, values);
}

/* A property holds one thing. */
static bool fill_once(struct reader *reader)
{
    if (reader->filled)
        complain(reader, "%s has more than one value", place_names[reader->places[reader->depth]]);
    return !reader->result;
}

static void begin_cache_list(struct reader *reader, const char *const values[ATTRIBUTES])
{
    (void)values;
    if (!fill_once(reader))
        return;
    reader->filled = true;
    enter(reader, CACHE_LIST);
}

static void begin_listed_cache(struct reader *reader, const char *const values[ATTRIBUTES])
{
    if (!check_class(reader, values[0], CACHE_CLASS))
        return;
    if (reader->file->cache_count == BELAY_CACHES_MAX) {
        complain(reader, "too many caches; allowed: %u", BELAY_CACHES_MAX);
        return;
    }
    reader->bean_line = line_of(reader);
    reader->bean_column = column_of(reader);
    enter(reader, CACHE_BEAN);
}

static void begin_single_cache(struct reader *reader, const char *const values[ATTRIBUTES])
{
    if (fill_once(reader))
        begin_listed_cache(reader, values);
}

static void begin_value(struct reader *reader, const char *const values[ATTRIBUTES])
{
    (void)values;
    if (!fill_once(reader))
        return;
    reader->value_length = 0;
    enter(reader, VALUE);
}

/* ---- The grammar --------------------------------------------------------------------------------------------- */

static const struct rule {
    enum place inside;
    const char *element;
    const char *attributes[ATTRIBUTES];
    void (*begin)(struct reader *reader, const char *const values[ATTRIBUTES]);
} rules[] = {
    {DOCUMENT, "beans", {NULL}, begin_beans},
    {DOCUMENT, "bean", {"class", "id"}, begin_node_bean},
    {BEANS, "bean", {"class", "id"}, begin_node_bean},
    {NODE_BEAN, "property", {"name", "value"}, begin_node_property},
    {NODE_PROPERTY, "value", {NULL}, begin_value},
    {CACHES, "bean", {"class", "id"}, begin_single_cache},
    {CACHES, "list", {NULL}, begin_cache_list},
    {CACHES, "array", {NULL}, begin_cache_list},
    {CACHES, "set", {NULL}, begin_cache_list},
    {CACHE_LIST, "bean", {"class", "id"}, begin_listed_cache},
    {CACHE_BEAN, "property", {"name", "value"}, begin_cache_property},
    {CACHE_PROPERTY, "value", {NULL}, begin_value},
};

static const struct rule *const rules_end = rules + sizeof rules / sizeof rules[0];

static const struct rule *find_rule(enum place inside, const char *element)
{
    for (const struct rule *rule = rules; rule < rules_end; ++rule)
        if (rule->inside == inside && strcmp(rule->element, element) == 0)
            return rule;
    return NULL;
}

static void complain_unknown_element(struct reader *reader, enum place inside, const char *element)
{
    struct list allowed = {""};
    char quoted[QUOTED];
    setting_quote(element, quoted, sizeof quoted);
    for (const struct rule *rule = rules; rule < rules_end; ++rule)
        if (rule->inside == inside)
            list_add(&allowed, "<", rule->element, ">");
    complain(reader, "unknown element <%s> in %s; allowed: %s", quoted, place_names[inside],
             allowed.text[0] ? allowed.text : "text");
}

/* What Spring's files begin with: names of schemas, which are not read. */
static bool is_header(const char *attribute)
{
    return strcmp(attribute, "xmlns") == 0 || strncmp(attribute, "xmlns:", 6) == 0 ||
           strncmp(attribute, "xsi:", 4) == 0;
}

static bool take_attribute(const struct rule *rule, const char *name, const char *value,
                           const char *values[ATTRIBUTES])
{
    for (size_t i = 0; i < ATTRIBUTES && rule->attributes[i]; ++i)
        if (strcmp(rule->attributes[i], name) == 0) {
            values[i] = value;
            return true;
        }
    return rule->inside == DOCUMENT && is_header(name);
}

static void complain_unknown_attribute(struct reader *reader, const struct rule *rule, const char *name)
{
    struct list allowed = {""};
    char quoted[QUOTED];
    setting_quote(name, quoted, sizeof quoted);
    for (size_t i = 0; i < ATTRIBUTES && rule->attributes[i]; ++i)
        list_add(&allowed, "", rule->attributes[i], "");
    complain(reader, "unknown attribute \"%s\" of <%s>; allowed: %s", quoted, rule->element,
             allowed.text[0] ? allowed.text : "none");
}

static void XMLCALL on_start(void *context, const XML_Char *element, const XML_Char **attributes)
{
    struct reader *reader = context;
    const char *values[ATTRIBUTES] = {NULL};
    if (reader->result)
        return;
    const enum place inside = reader->places[reader->depth];
    const struct rule *rule = find_rule(inside, element);
    if (!rule) {
        complain_unknown_element(reader, inside, element);
        return;
    }
    for (; *attributes; attributes += 2)
        if (!take_attribute(rule, attributes[0], attributes[1], values)) {
            complain_unknown_attribute(reader, rule, attributes[0]);
            return;
        }
    rule->begin(reader, values);
}

/* ---- Elements end -------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void end_value(struct reader *reader, enum place property)
{
    char *text = reader->value;
    size_t length = reader->value_length;
    while (length && is_space(text[length - 1]))
        --length;
    text[length] = '\0';
    while (is_space(*text))
        ++text;
    set_value(reader, property, text);
}

static void end_cache(struct reader *reader)
{
    settings_file *file = reader->file;
    const struct cache_settings *cache = &file->caches[file->cache_count];
    if (!cache->origins[CACHE_NAME].source) {
        complain(reader, "the cache that starts in line %u, column %u has no property \"name\"",
                 reader->bean_line, reader->bean_column);
        return;
    }
    const struct cache_settings *earlier = settings_file_find(file, cache->name);
    if (earlier) {
        complain(reader, "cache name = \"%s\" is there twice, first in line %u", cache->name,
                 earlier->origins[CACHE_NAME].line);
        return;
    }
    ++file->cache_count;
    reader->filled = true;
}

static void XMLCALL on_end(void *context, const XML_Char *element)
{
    struct reader *reader = context;
    (void)element;
    if (reader->result)
        return;
    switch (reader->places[reader->depth--]) {
    case VALUE: end_value(reader, reader->places[reader->depth]); break;
    case CACHE_BEAN: end_cache(reader); break;
    case CACHES:
    case NODE_PROPERTY:
    case CACHE_PROPERTY:
        if (!reader->filled)
            complain(reader, "property \"%s\" has no value",
                     reader->places[reader->depth + 1] == CACHES ? CACHES_PROPERTY
                                                                 : reader->setting->property);
        break;
    default: break;
    }
}

static void XMLCALL on_text(void *context, const XML_Char *text, int length)
{
    struct reader *reader = context;
    if (reader->result)
        return;
    if (reader->places[reader->depth] == VALUE) {
        size_t room = sizeof reader->value - 1 - reader->value_length;
        size_t taken = (size_t)length < room ? (size_t)length : room;
        memcpy(reader->value + reader->value_length, text, taken);
        reader->value_length += taken;
        return;
    }
    const bool elided = reader->places[reader->depth] == NODE_BEAN ||
                        reader->places[reader->depth] == CACHE_BEAN;
    for (int i = 0; i < length; ++i)
        if (!is_space(text[i]) && !(elided && text[i] == '.')) {
            complain(reader, "text in %s; allowed: only in <value>",
                     place_names[reader->places[reader->depth]]);
            return;
        }
}

static void XMLCALL on_doctype(void *context, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_internal_subset)
{
    struct reader *reader = context;
    (void)name, (void)system, (void)public, (void)has_internal_subset;
    if (!reader->result)
        complain(reader, "<!DOCTYPE> is refused, and so are entity declarations: remove it");
}

/* ---- The whole ----------------------------------------------------------------------------------------------- */

static int parse(struct reader *reader, const char *bytes, size_t length)
{
    enum XML_Status status = XML_Parse(reader->parser, bytes, (int)length, XML_TRUE);
    if (reader->result)
        return reader->result;
    if (status != XML_STATUS_OK) {
        enum XML_Error error = XML_GetErrorCode(reader->parser);
        if (error == XML_ERROR_NO_MEMORY)
            return log_error(BELAY_ERR_NO_MEMORY, "no memory to read %.200s", reader->file->path);
        complain(reader, "not well-formed XML: %s", XML_ErrorString(error));
    } else if (!reader->node_read) {
        complain(reader, "nothing is configured; needed: a <bean> of class " NODE_CLASS);
    }
    return reader->result;
}

int settings_xml_read(const char *bytes, size_t length, settings_file *file)
{
    struct reader reader = {.parser = XML_ParserCreate(NULL), .file = file};
    if (!reader.parser)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to read %.200s", file->path);
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
    int result = parse(&reader, bytes, length);
    XML_ParserFree(reader.parser);
    return result;
}
