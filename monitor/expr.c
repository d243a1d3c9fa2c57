/* SPDX-License-Identifier: MIT */
/*
 * Integer expressions of monitor commands.  Precedence, from the weakest: + -, then & | ^, then
 * * / %, which is not C's order but the one that scripts for this kind of monitor know.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "monitor/parse.h"

enum { EXPR_DEPTH = 64 }; /* nested parentheses and signs */

typedef struct Expr {
    Machine *m;
    const char *p;
    Error *err;
    int depth;
} Expr;

static bool expr_sum(Expr *e, uint64_t *val);

static void expr_skip(Expr *e)
{
    while (isspace((unsigned char)*e->p)) e->p++;
}

static bool expr_number(Expr *e, uint64_t *val)
{
    char *end;

    if (!*e->p) return error_set(e->err, "unexpected end of expression");
    if (!isdigit((unsigned char)*e->p)) {
        return error_set(e->err, "invalid char '%c' in expression", *e->p);
    }
    errno = 0;
    *val = strtoull(e->p, &end, 0);
    if (errno == ERANGE) return error_set(e->err, "number too large");
    e->p = end;
    expr_skip(e);
    return true;
}

static bool expr_character(Expr *e, uint64_t *val)
{
    e->p++;
    if (!*e->p) return error_set(e->err, "character constant expected");
    *val = (unsigned char)*e->p++;
    if (*e->p != '\'') return error_set(e->err, "missing terminating ' character");
    e->p++;
    expr_skip(e);
    return true;
}

static bool expr_register(Expr *e, uint64_t *val)
{
    char name[64];
    size_t n = 0;

    e->p++;
    while (isalnum((unsigned char)*e->p) || *e->p == '_' || *e->p == '.' || *e->p == ':') {
        if (n < sizeof(name) - 1) name[n++] = *e->p;
        e->p++;
    }
    name[n] = 0;
    expr_skip(e);
    if (!cpu_register(e->m, name, val)) return error_set(e->err, "unknown register");
    return true;
}

static bool expr_unary(Expr *e, uint64_t *val)
{
    bool ok;

    if (++e->depth > EXPR_DEPTH) return error_set(e->err, "expression too deep");
    expr_skip(e);
    switch (*e->p) {
    case '+':
        e->p++;
        ok = expr_unary(e, val);
        break;
    case '-':
        e->p++;
        ok = expr_unary(e, val);
        *val = -*val;
        break;
    case '~':
        e->p++;
        ok = expr_unary(e, val);
        *val = ~*val;
        break;
    case '(':
        e->p++;
        ok = expr_sum(e, val);
        if (ok && *e->p != ')') return error_set(e->err, "')' expected");
        if (ok) e->p++;
        expr_skip(e);
        break;
    case '\'': ok = expr_character(e, val); break;
    case '$': ok = expr_register(e, val); break;
    default: ok = expr_number(e, val);
    }
    e->depth--;
    return ok;
}

static bool expr_product(Expr *e, uint64_t *val)
{
    uint64_t right = 0;

    if (!expr_unary(e, val)) return false;
    for (;;) {
        char op = *e->p;
        if (op != '*' && op != '/' && op != '%') return true;
        e->p++;
        if (!expr_unary(e, &right)) return false;
        if (op == '*') {
            *val *= right;
            continue;
        }
        if (!right) return error_set(e->err, "division by zero");
        *val = op == '/' ? *val / right : *val % right;
    }
}

static bool expr_logic(Expr *e, uint64_t *val)
{
    uint64_t right = 0;

    if (!expr_product(e, val)) return false;
    for (;;) {
        char op = *e->p;
        if (op != '&' && op != '|' && op != '^') return true;
        e->p++;
        if (!expr_product(e, &right)) return false;
        *val = op == '&' ? *val & right : op == '|' ? *val | right : *val ^ right;
    }
}

static bool expr_sum(Expr *e, uint64_t *val)
{
    uint64_t right = 0;

    if (!expr_logic(e, val)) return false;
    for (;;) {
        char op = *e->p;
        if (op != '+' && op != '-') return true;
        e->p++;
        if (!expr_logic(e, &right)) return false;
        *val = op == '+' ? *val + right : *val - right;
    }
}

bool parse_expr(Machine *m, const char **p, int64_t *val, Error *err)
{
    Expr e = { .m = m, .p = *p, .err = err };
    uint64_t v = 0;

    if (!expr_sum(&e, &v)) return false;
    *p = e.p;
    *val = (int64_t)v;
    return true;
}
