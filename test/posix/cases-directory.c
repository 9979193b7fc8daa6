/*
 * Cases: reading directories: many names, positions, changes while reading, types and inode numbers of entries.
 */
#include "harness.h"

static void numbered(char *name, int number) { snprintf(name, 16, "n%05d", number); }

static void create_many(int count) {
  char name[16];
  for (int i = 0; i < count; i++) {
    numbered(name, i);
    OK(close((int)OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
  }
}

/* Reads on from where the stream stands; counts each numbered name in seen; returns how many names there were. */
static int read_on(DIR *directory, unsigned char *seen) {
  struct dirent *entry;
  int count = 0;
  errno = 0;
  while ((entry = readdir(directory))) {
    if (entry->d_name[0] != 'n') continue;
    seen[atoi(entry->d_name + 1)]++;
    count++;
  }
  SAME(errno, 0);
  return count;
}

static void many_names(void) {
  enum { COUNT = 10000 };
  create_many(COUNT);
  unsigned char *seen = calloc(1, COUNT);
  DIR *directory = opendir(".");
  SAME(read_on(directory, seen), COUNT);
  for (int i = 0; i < COUNT; i++) SAME(seen[i], 1);
  rewinddir(directory);
  SAME(read_on(directory, seen), COUNT);
  /* From every remembered position the rest must be the same as the first time. */
  long places[10];
  char after[10][256];
  rewinddir(directory);
  for (int i = 0; i < 10; i++) {
    for (int j = 0; j < 900; j++) CHECK(readdir(directory) != NULL);
    places[i] = telldir(directory);
    strcpy(after[i], readdir(directory)->d_name);
  }
  for (int i = 9; i >= 0; i--) {
    seekdir(directory, places[i]);
    struct dirent *entry = readdir(directory);
    CHECK(entry != NULL && strcmp(entry->d_name, after[i]) == 0);
  }
  closedir(directory);
}

static void removal_while_reading(void) {
  enum { COUNT = 3000 };
  create_many(COUNT);
  DIR *directory = opendir(".");
  struct dirent *entry;
  int removed = 0;
  while ((entry = readdir(directory)))
    if (entry->d_name[0] == 'n') {
      OK(unlink(entry->d_name));
      removed++;
    }
  SAME(removed, COUNT);
  closedir(directory);
}

static void names_that_stay_are_seen_once(void) {
  enum { COUNT = 2000 };
  create_many(COUNT);
  unsigned char seen[COUNT] = {0};
  DIR *directory = opendir(".");
  struct dirent *entry;
  char name[16], other[16];
  for (int read = 0; (entry = readdir(directory)); read++) {
    if (entry->d_name[0] == 'n') seen[atoi(entry->d_name + 1)]++;
    if (read % 10 == 0) { /* names that come and go meanwhile do not disturb the others */
      snprintf(other, sizeof other, "x%d", read);
      OK(close((int)OK(open(other, O_WRONLY | O_CREAT, 0644))));
      if (read % 20 == 0) OK(unlink(other));
    }
  }
  for (int i = 0; i < COUNT; i++) {
    numbered(name, i);
    if (seen[i] != 1) fail(__FILE__, __LINE__, "%s was seen %d times", name, seen[i]);
  }
}

static void kinds_and_inodes(void) {
  make_file("file", 0644, "");
  OK(mkdir("directory", 0755));
  OK(symlink("file", "symlink"));
  OK(mkfifo("fifo", 0644));
  OK(link("file", "linked"));
  static const struct {
    const char *name;
    unsigned char type;
  } expected[] = {{"file", DT_REG}, {"directory", DT_DIR}, {"symlink", DT_LNK}, {"fifo", DT_FIFO}, {"linked", DT_REG}, {".", DT_DIR}, {"..", DT_DIR}};
  bool seen[7] = {false};
  DIR *directory = opendir(".");
  struct dirent *entry;
  while ((entry = readdir(directory)))
    for (int i = 0; i < 7; i++)
      if (strcmp(entry->d_name, expected[i].name) == 0) {
        SAME(entry->d_type, expected[i].type);
        CHECK(!seen[i]);
        seen[i] = true;
        if (i < 6) SAME(entry->d_ino, status_of(entry->d_name).st_ino);
      }
  for (int i = 0; i < 7; i++) CHECK(seen[i]);
}

static int names_in(const char *path) {
  DIR *directory = opendir(path);
  CHECK(directory != NULL);
  int count = 0;
  while (readdir(directory)) count++;
  closedir(directory);
  return count - 2;
}

static void fresh_listing(void) {
  /* A listing remembered by the kernel must not outlive a change. */
  OK(mkdir("d", 0755));
  SAME(names_in("d"), 0);
  make_file("d/a", 0644, "");
  SAME(names_in("d"), 1);
  SAME(names_in("d"), 1);
  OK(link("d/a", "d/b"));
  SAME(names_in("d"), 2);
  OK(rename("d/a", "c"));
  SAME(names_in("d"), 1);
  OK(unlink("d/b"));
  SAME(names_in("d"), 0);
  OK(rename("c", "d/c"));
  SAME(names_in("d"), 1);
  OK(unlink("d/c"));
  OK(rmdir("d"));
}

static void handle_of_directory(void) {
  OK(mkdir("d", 0755));
  make_file("d/a", 0644, "");
  int handle = (int)OK(open("d", O_RDONLY | O_DIRECTORY));
  OK(rename("d", "e"));
  DIR *directory = fdopendir(handle);
  CHECK(directory != NULL);
  int count = 0;
  while (readdir(directory)) count++;
  SAME(count, 3);
  CHECK(opendir("d") == NULL && errno == ENOENT);
  CHECK(opendir("e/a") == NULL && errno == ENOTDIR);
}

static void long_names_listed(void) {
  char name[256];
  memset(name, 'l', 255);
  name[255] = 0;
  for (int i = 0; i < 100; i++) {
    name[0] = (char)('0' + i / 10);
    name[1] = (char)('0' + i % 10);
    OK(close((int)OK(open(name, O_WRONLY | O_CREAT, 0644))));
  }
  SAME(names_in("."), 100);
}

static void the_store_is_not_seen(void) {
  /* A protected directory keeps its history in one name of its root: nobody sees it, anywhere. */
  struct stat status;
  FAILS(stat(".tidemark", &status), ENOENT);
  FAILS(stat("../.tidemark", &status), ENOENT);
  DIR *directory = opendir("..");
  struct dirent *entry;
  while ((entry = readdir(directory))) CHECK(strcmp(entry->d_name, ".tidemark") != 0 && strcmp(entry->d_name, ".snapshots") != 0);
}

const struct posix_case directory_cases[] = {
    {"10,000 names are each listed once, with seekdir and telldir", ANYONE, many_names},
    {"names are removed while they are read", ANYONE, removal_while_reading},
    {"names that stay are seen once while others come and go", ANYONE, names_that_stay_are_seen_once},
    {"entries tell kind and inode", ANYONE, kinds_and_inodes},
    {"a listing is fresh after every change", ANYONE, fresh_listing},
    {"a directory's handle survives its rename", ANYONE, handle_of_directory},
    {"long names are listed", ANYONE, long_names_listed},
    {"the store is not seen", ANYONE, the_store_is_not_seen},
    {NULL, ANYONE, NULL}};
