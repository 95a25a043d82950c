/* removal.h - taking away a folder in which a stranger writes.
 *
 * The stranger may put anything there, and move it about while we look: a folder may turn into a link to another place
 * between two of our steps. So nothing below the folder is ever reached by a path: each entry is taken away by its name in
 * a folder that is held open, and a folder is entered without following a link. The loop's thread; blocks. */
#pragma once

#define REMOVAL_DEPTH_MAX 64 /* folders within each other; what lies deeper stays */

/* The folder and all that is in it; a link goes, what it points to stays. Nobody but us may write to the folder that it lies
 * in. What cannot be removed is logged, once for all of it. */
void remove_tree(const char *path);
