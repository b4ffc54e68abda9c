/*
 * Fails unless the library's constructor has found the SGX call of the vDSO.
 * Side: host (test). Run under `cella soft`.
 */
int early_found(void);

int main(void)
{
    return early_found() ? 0 : 1;
}
